DROP INDEX idx_generation_jobs_start_deadline;
ALTER TABLE generation_jobs DROP COLUMN start_deadline;
ALTER TABLE generation_requests DROP COLUMN start_deadline;
ALTER TABLE generation_requests DROP COLUMN not_before;
