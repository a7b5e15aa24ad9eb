-- The order of the queue, see docs/domain.md#the-queue.

ALTER TABLE generation_jobs
    ADD COLUMN parked   BOOLEAN NOT NULL DEFAULT FALSE, -- whether it is out of the queue until run_after
    ADD COLUMN pass     BIGINT;                         -- its turn among those of its priority; null: its id
-- What waits for its pause by now. What an older program pauses from here on is in the queue, and passed over until it is due.
UPDATE generation_jobs SET parked = TRUE WHERE status = 'pending' AND deleted_at IS NULL AND run_after > NOW();

-- Whose pause ends next.
CREATE INDEX idx_generation_jobs_parked ON generation_jobs(run_after)
    WHERE parked = TRUE AND status = 'pending' AND deleted_at IS NULL;
-- The last turn of a user's jobs that wait. Costs intake one more entry for each job.
CREATE INDEX idx_generation_jobs_last_of_user
    ON generation_jobs(user_id, COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), category, priority, COALESCE(pass, id))
    WHERE status = 'pending' AND deleted_at IS NULL;
-- The next job is the next in turn, and those that are parked are not walked past.
DROP INDEX idx_generation_jobs_provider_claim;
CREATE INDEX idx_generation_jobs_provider_claim
    ON generation_jobs(COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), category, held, priority DESC, COALESCE(pass, id), id)
    WHERE status = 'pending' AND deleted_at IS NULL AND parked = FALSE;
DROP INDEX idx_generation_jobs_limited;
CREATE INDEX idx_generation_jobs_limited
    ON generation_jobs(user_id, held, COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), category, priority DESC, COALESCE(pass, id), id)
    WHERE concurrency IS NOT NULL AND status = 'pending' AND deleted_at IS NULL AND parked = FALSE;
