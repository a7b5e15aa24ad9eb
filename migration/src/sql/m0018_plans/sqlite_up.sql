-- As on PostgreSQL, where it is explained.

ALTER TABLE generation_requests ADD COLUMN plan TEXT CHECK (length(plan) <= 64);
CREATE INDEX idx_generation_requests_plan ON generation_requests(user_id, created_at) WHERE plan IS NOT NULL;

ALTER TABLE generation_jobs ADD COLUMN concurrency INTEGER CHECK (concurrency > 0);
ALTER TABLE generation_jobs ADD COLUMN held BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX idx_generation_jobs_limited
    ON generation_jobs(user_id, held, COALESCE(provider, json_extract(input_json, '$.provider'), ''), category, priority DESC, id)
    WHERE concurrency IS NOT NULL AND status = 'pending' AND deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_limited_running ON generation_jobs(user_id)
    WHERE concurrency IS NOT NULL AND status = 'processing' AND deleted_at IS NULL;

DROP INDEX idx_generation_jobs_provider_claim;
CREATE INDEX idx_generation_jobs_provider_claim
    ON generation_jobs(COALESCE(provider, json_extract(input_json, '$.provider'), ''), category, held, priority DESC, id)
    WHERE status = 'pending' AND deleted_at IS NULL;
