ALTER TABLE generation_jobs RESET (fillfactor);
DROP INDEX idx_generation_jobs_running;
CREATE INDEX idx_generation_jobs_lease ON generation_jobs(lease_expires_at) WHERE status = 'processing';
