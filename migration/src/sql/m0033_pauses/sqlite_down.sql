DROP INDEX idx_generation_jobs_limited;
CREATE INDEX idx_generation_jobs_limited
    ON generation_jobs(user_id, held, COALESCE(provider, json_extract(input_json, '$.provider'), ''), category, priority DESC, COALESCE(pass, id), id)
    WHERE concurrency IS NOT NULL AND status = 'pending' AND deleted_at IS NULL AND parked = FALSE;
DROP INDEX idx_generation_jobs_provider_claim;
CREATE INDEX idx_generation_jobs_provider_claim
    ON generation_jobs(COALESCE(provider, json_extract(input_json, '$.provider'), ''), category, held, priority DESC, COALESCE(pass, id), id)
    WHERE status = 'pending' AND deleted_at IS NULL AND parked = FALSE;
DROP INDEX idx_generation_jobs_last_of_user;
CREATE INDEX idx_generation_jobs_last_of_user
    ON generation_jobs(user_id, COALESCE(provider, json_extract(input_json, '$.provider'), ''), category, priority, COALESCE(pass, id))
    WHERE status = 'pending' AND deleted_at IS NULL;
DROP INDEX idx_generation_jobs_paused;
ALTER TABLE generation_jobs DROP COLUMN paused;
DROP TABLE generation_workers;
DROP TABLE generation_pauses;
