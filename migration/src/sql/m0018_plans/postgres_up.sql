-- What plans allow users, see docs/plans.md.

-- The plan that a request was made under; null where there was none.
ALTER TABLE generation_requests ADD COLUMN plan VARCHAR(64);
-- How many requests a user has made of late. Intake of those without a plan pays nothing for it.
CREATE INDEX idx_generation_requests_plan ON generation_requests(user_id, created_at) WHERE plan IS NOT NULL;

ALTER TABLE generation_jobs
    ADD COLUMN concurrency  INTEGER CHECK (concurrency > 0),  -- how many jobs of its user may run for it to begin; null: any
    ADD COLUMN held         BOOLEAN NOT NULL DEFAULT FALSE;   -- whether it is out of the queue until another of its user ends
-- What waits of a user whose jobs are limited. Those of others are not in it.
CREATE INDEX idx_generation_jobs_limited
    ON generation_jobs(user_id, held, COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), category, priority DESC, id)
    WHERE concurrency IS NOT NULL AND status = 'pending' AND deleted_at IS NULL;
-- And what runs of them.
CREATE INDEX idx_generation_jobs_limited_running ON generation_jobs(user_id)
    WHERE concurrency IS NOT NULL AND status = 'processing' AND deleted_at IS NULL;

-- The next job of a provider that is not held, in the place of the next of all: nobody walks past those that are.
DROP INDEX idx_generation_jobs_provider_claim;
CREATE INDEX idx_generation_jobs_provider_claim
    ON generation_jobs(COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), category, held, priority DESC, id)
    WHERE status = 'pending' AND deleted_at IS NULL;
