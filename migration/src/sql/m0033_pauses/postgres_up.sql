-- What operators hold, see docs/operations.md#holding-the-queue.

-- Nothing of it is begun. A row goes when it is resumed; the audit log keeps what has been.
CREATE TABLE generation_pauses (
    id              BIGSERIAL PRIMARY KEY,
    provider        VARCHAR(64),                    -- its jobs; null for those of a feature, or all
    feature_id      BIGINT REFERENCES generation_features(id) ON DELETE CASCADE, -- its jobs; null for those of a provider, or all
    reason          VARCHAR(500) NOT NULL,          -- may be empty
    actor           VARCHAR(80) NOT NULL,           -- in whose name
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT ck_generation_pauses_part CHECK (provider IS NULL OR feature_id IS NULL)
);
CREATE UNIQUE INDEX idx_generation_pauses_provider ON generation_pauses(provider);
CREATE UNIQUE INDEX idx_generation_pauses_feature ON generation_pauses(feature_id);
CREATE UNIQUE INDEX idx_generation_pauses_whole ON generation_pauses(COALESCE(provider, ''))
    WHERE provider IS NULL AND feature_id IS NULL;

-- Who runs jobs, as each says it of itself.
CREATE TABLE generation_workers (
    id              BIGSERIAL PRIMARY KEY,
    name            VARCHAR(64) NOT NULL,           -- as jobs have it in worker_id
    instance        VARCHAR(36) NOT NULL,           -- drawn at each start
    host            VARCHAR(255) NOT NULL,
    role            VARCHAR(16) NOT NULL,           -- of its process
    version         VARCHAR(32) NOT NULL,           -- of its program
    capabilities    JSONB NOT NULL,                 -- what it runs, and what it lacks to
    slots           INTEGER NOT NULL,               -- jobs that it runs at once at most
    started_at      TIMESTAMP WITH TIME ZONE NOT NULL,
    seen_at         TIMESTAMP WITH TIME ZONE NOT NULL,
    drained_at      TIMESTAMP WITH TIME ZONE,       -- since when it takes no job; null while it does
    drain_reason    VARCHAR(500),
    drain_actor     VARCHAR(80)
);
CREATE UNIQUE INDEX idx_generation_workers_name ON generation_workers(name);

-- Whether a job is out of the queue because its feature is paused. A claim marks those that it meets, and so walks past each once.
ALTER TABLE generation_jobs ADD COLUMN paused BOOLEAN NOT NULL DEFAULT FALSE;

-- What waits, in words that only the indexes of the queue have: a query that says so cannot be served by one of the specification's,
-- which has all that waits, and looks as good to the planner while that is next to nothing; and plans are kept. An older program
-- finds its jobs by those, more slowly.
CREATE INDEX idx_generation_jobs_paused ON generation_jobs(feature_id)
    WHERE paused = TRUE AND (CASE WHEN status = 'pending' THEN deleted_at IS NULL END);
DROP INDEX idx_generation_jobs_last_of_user;
CREATE INDEX idx_generation_jobs_last_of_user
    ON generation_jobs(user_id, paused, COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), category, priority, COALESCE(pass, id))
    WHERE (CASE WHEN status = 'pending' THEN deleted_at IS NULL END);
DROP INDEX idx_generation_jobs_provider_claim;
CREATE INDEX idx_generation_jobs_provider_claim
    ON generation_jobs(COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), category, held, priority DESC, COALESCE(pass, id), id)
    WHERE (CASE WHEN status = 'pending' THEN deleted_at IS NULL END) AND parked = FALSE AND paused = FALSE;
DROP INDEX idx_generation_jobs_limited;
CREATE INDEX idx_generation_jobs_limited
    ON generation_jobs(user_id, held, COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), category, priority DESC, COALESCE(pass, id), id)
    WHERE concurrency IS NOT NULL AND (CASE WHEN status = 'pending' THEN deleted_at IS NULL END) AND parked = FALSE AND paused = FALSE;
DROP INDEX idx_generation_jobs_parked;
CREATE INDEX idx_generation_jobs_parked ON generation_jobs(run_after)
    WHERE parked = TRUE AND (CASE WHEN status = 'pending' THEN deleted_at IS NULL END);
DROP INDEX idx_generation_jobs_start_deadline;
CREATE INDEX idx_generation_jobs_start_deadline ON generation_jobs(start_deadline)
    WHERE start_deadline IS NOT NULL AND started_at IS NULL AND (CASE WHEN status = 'pending' THEN deleted_at IS NULL END);
