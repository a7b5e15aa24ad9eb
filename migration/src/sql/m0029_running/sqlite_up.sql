-- As on PostgreSQL, where it is explained.
DROP INDEX idx_generation_jobs_lease;
CREATE INDEX idx_generation_jobs_running ON generation_jobs(id) WHERE status = 'processing';
