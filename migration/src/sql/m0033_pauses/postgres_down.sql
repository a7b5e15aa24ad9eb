DROP INDEX idx_generation_jobs_parked;
CREATE INDEX idx_generation_jobs_parked ON generation_jobs(run_after)
    WHERE parked = TRUE AND status = 'pending' AND deleted_at IS NULL;
DROP INDEX idx_generation_jobs_start_deadline;
CREATE INDEX idx_generation_jobs_start_deadline ON generation_jobs(start_deadline)
    WHERE start_deadline IS NOT NULL AND started_at IS NULL AND status = 'pending' AND deleted_at IS NULL;
DROP INDEX idx_generation_jobs_limited;
CREATE INDEX idx_generation_jobs_limited
    ON generation_jobs(user_id, held, COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), category, priority DESC, COALESCE(pass, id), id)
    WHERE concurrency IS NOT NULL AND status = 'pending' AND deleted_at IS NULL AND parked = FALSE;
DROP INDEX idx_generation_jobs_provider_claim;
CREATE INDEX idx_generation_jobs_provider_claim
    ON generation_jobs(COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), category, held, priority DESC, COALESCE(pass, id), id)
    WHERE status = 'pending' AND deleted_at IS NULL AND parked = FALSE;
DROP INDEX idx_generation_jobs_last_of_user;
CREATE INDEX idx_generation_jobs_last_of_user
    ON generation_jobs(user_id, COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), category, priority, COALESCE(pass, id))
    WHERE status = 'pending' AND deleted_at IS NULL;
DROP INDEX idx_generation_jobs_paused;
ALTER TABLE generation_jobs DROP COLUMN paused;
DROP TABLE generation_workers;
DROP TABLE generation_pauses;
