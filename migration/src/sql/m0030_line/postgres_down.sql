DROP INDEX idx_generation_jobs_limited;
CREATE INDEX idx_generation_jobs_limited
    ON generation_jobs(user_id, held, COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), category, priority DESC, id)
    WHERE concurrency IS NOT NULL AND status = 'pending' AND deleted_at IS NULL;
DROP INDEX idx_generation_jobs_provider_claim;
CREATE INDEX idx_generation_jobs_provider_claim
    ON generation_jobs(COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), category, held, priority DESC, id)
    WHERE status = 'pending' AND deleted_at IS NULL;
DROP INDEX idx_generation_jobs_last_of_user;
DROP INDEX idx_generation_jobs_parked;
ALTER TABLE generation_jobs DROP COLUMN pass, DROP COLUMN parked;
