CREATE INDEX idx_generation_jobs_claim ON generation_jobs(priority DESC, id) WHERE status = 'pending' AND deleted_at IS NULL;
DROP INDEX idx_generation_jobs_provider_claim;
DROP TABLE generation_capabilities;
