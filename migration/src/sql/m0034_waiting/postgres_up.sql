-- What waits, in words that only these indexes have: a query that says so cannot be served by one of the specification's, which has
-- all that waits, and looks as good to the planner while that is next to nothing. An older program finds its jobs by those, more
-- slowly.
DROP INDEX idx_generation_jobs_provider_claim;
CREATE INDEX idx_generation_jobs_provider_claim
    ON generation_jobs(COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), category, held, priority DESC, COALESCE(pass, id), id)
    WHERE (CASE WHEN status = 'pending' THEN deleted_at IS NULL END) AND parked = FALSE;
DROP INDEX idx_generation_jobs_last_of_user;
CREATE INDEX idx_generation_jobs_last_of_user
    ON generation_jobs(user_id, COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), category, priority, COALESCE(pass, id))
    WHERE (CASE WHEN status = 'pending' THEN deleted_at IS NULL END);
DROP INDEX idx_generation_jobs_limited;
CREATE INDEX idx_generation_jobs_limited
    ON generation_jobs(user_id, held, COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), category, priority DESC, COALESCE(pass, id), id)
    WHERE concurrency IS NOT NULL AND (CASE WHEN status = 'pending' THEN deleted_at IS NULL END) AND parked = FALSE;
DROP INDEX idx_generation_jobs_parked;
CREATE INDEX idx_generation_jobs_parked ON generation_jobs(run_after)
    WHERE parked = TRUE AND (CASE WHEN status = 'pending' THEN deleted_at IS NULL END);
DROP INDEX idx_generation_jobs_start_deadline;
CREATE INDEX idx_generation_jobs_start_deadline ON generation_jobs(start_deadline)
    WHERE start_deadline IS NOT NULL AND started_at IS NULL AND (CASE WHEN status = 'pending' THEN deleted_at IS NULL END);
