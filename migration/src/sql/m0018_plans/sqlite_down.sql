DROP INDEX idx_generation_jobs_provider_claim;
CREATE INDEX idx_generation_jobs_provider_claim
    ON generation_jobs(COALESCE(provider, json_extract(input_json, '$.provider'), ''), category, priority DESC, id)
    WHERE status = 'pending' AND deleted_at IS NULL;
DROP INDEX idx_generation_jobs_limited_running;
DROP INDEX idx_generation_jobs_limited;
ALTER TABLE generation_jobs DROP COLUMN held;
ALTER TABLE generation_jobs DROP COLUMN concurrency;
DROP INDEX idx_generation_requests_plan;
ALTER TABLE generation_requests DROP COLUMN plan;
