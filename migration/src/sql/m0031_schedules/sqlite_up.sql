-- As on PostgreSQL, where it is explained.
ALTER TABLE generation_requests ADD COLUMN not_before TEXT;
ALTER TABLE generation_requests ADD COLUMN start_deadline TEXT;
ALTER TABLE generation_jobs ADD COLUMN start_deadline TEXT;
CREATE INDEX idx_generation_jobs_start_deadline ON generation_jobs(start_deadline)
    WHERE start_deadline IS NOT NULL AND started_at IS NULL AND status = 'pending' AND deleted_at IS NULL;
