-- What running the jobs needs beyond the domain's specification: leases, attempts, events, idempotency, the indexes of
-- the hot queries, and constraints that hold what the code relies on.

ALTER TABLE generation_jobs
    ADD COLUMN revision          BIGINT NOT NULL DEFAULT 0,     -- number of the last event, dense per job
    ADD COLUMN variation         INTEGER NOT NULL DEFAULT 0,    -- position within its request, from 0
    ADD COLUMN attempt           INTEGER NOT NULL DEFAULT 0,    -- attempts begun
    ADD COLUMN max_attempts      INTEGER NOT NULL DEFAULT 3,
    ADD COLUMN run_after         TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),  -- not claimed earlier (backoff)
    ADD COLUMN lease_token       VARCHAR(36),                   -- UUID of the claim; every later write is conditional on it
    ADD COLUMN lease_expires_at  TIMESTAMP WITH TIME ZONE,
    ADD COLUMN progress          DOUBLE PRECISION NOT NULL DEFAULT 0,  -- 0 to 1
    ADD COLUMN progress_message  TEXT,
    ADD COLUMN progress_preview  TEXT,  -- a tiny picture of what is there so far, as a data URL
    ADD COLUMN superseded_by     BIGINT REFERENCES generation_jobs(id) ON DELETE SET NULL,  -- the job that retries this one
    ADD COLUMN provider          VARCHAR(64),
    ADD COLUMN submission_key    VARCHAR(36),                   -- UUID that the provider sees, stable over resubmission
    ADD COLUMN provider_task_id  TEXT,                          -- kept before the first poll, so that no work is paid twice
    ADD COLUMN error_detail      TEXT;                          -- the provider's own words, for operators only

ALTER TABLE generation_media ADD COLUMN storage_key TEXT;       -- path within the object store

-- Rows written by another program under migration 1 cannot be leased to anyone: they are brought to states that the
-- constraints below allow.
UPDATE generation_jobs SET status = 'pending', worker_id = NULL, started_at = NULL WHERE status = 'processing';
UPDATE generation_jobs SET completed_at = updated_at
    WHERE status IN ('completed', 'failed', 'cancelled') AND completed_at IS NULL;
UPDATE generation_jobs SET completed_at = NULL WHERE status = 'pending' AND completed_at IS NOT NULL;
UPDATE generation_jobs SET error_code = 'INTERNAL' WHERE status = 'failed' AND error_code IS NULL;

ALTER TABLE generation_requests
    ADD CONSTRAINT ck_generation_requests_status
        CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled'));

ALTER TABLE generation_jobs
    ADD CONSTRAINT ck_generation_jobs_finished
        CHECK ((status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)),
    ADD CONSTRAINT ck_generation_jobs_failed
        CHECK (status <> 'failed' OR error_code IS NOT NULL),
    ADD CONSTRAINT ck_generation_jobs_processing
        CHECK (status <> 'processing'
            OR (started_at IS NOT NULL AND lease_token IS NOT NULL AND lease_expires_at IS NOT NULL)),
    ADD CONSTRAINT ck_generation_jobs_lease
        CHECK (status = 'processing' OR (lease_token IS NULL AND lease_expires_at IS NULL)),
    ADD CONSTRAINT ck_generation_jobs_revision CHECK (revision >= 0),
    ADD CONSTRAINT ck_generation_jobs_attempt CHECK (attempt >= 0),
    ADD CONSTRAINT ck_generation_jobs_max_attempts CHECK (max_attempts >= 1),
    ADD CONSTRAINT ck_generation_jobs_progress CHECK (progress BETWEEN 0 AND 1);

-- The audit trail of a job, and what a watcher resumes from.
CREATE TABLE generation_job_events (
    job_id          BIGINT NOT NULL REFERENCES generation_jobs(id) ON DELETE CASCADE,
    revision        BIGINT NOT NULL,
    status          generation_job_status_enum NOT NULL,
    attempt         INTEGER NOT NULL,
    detail          JSONB,
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    PRIMARY KEY (job_id, revision)
);

CREATE TABLE generation_idempotency_keys (
    user_id         BIGINT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    key             VARCHAR(128) NOT NULL,
    fingerprint     VARCHAR(64) NOT NULL,          -- SHA-256 of the payload in hexadecimal
    request_id      BIGINT NOT NULL REFERENCES generation_requests(id) ON DELETE CASCADE,
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    PRIMARY KEY (user_id, key)
);

-- The next job: highest priority first, then the oldest, without sorting everything that waits.
CREATE INDEX idx_generation_jobs_claim ON generation_jobs(priority DESC, id) WHERE status = 'pending' AND deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_lease ON generation_jobs(lease_expires_at) WHERE status = 'processing';
-- A user's page, newest first.
CREATE INDEX idx_generation_requests_user_page ON generation_requests(user_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_user_page ON generation_jobs(user_id, id DESC) WHERE deleted_at IS NULL;
-- Names are unique among what is not deleted.
CREATE UNIQUE INDEX idx_generation_features_live_name ON generation_features(name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX idx_generation_templates_live_name ON generation_templates(feature_id, name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX idx_generation_media_storage_key ON generation_media(storage_key) WHERE storage_key IS NOT NULL;
-- Foreign keys whose actions would otherwise scan the whole table for each deleted row.
CREATE INDEX idx_generation_jobs_superseded_by ON generation_jobs(superseded_by) WHERE superseded_by IS NOT NULL;
CREATE INDEX idx_generation_idempotency_keys_request ON generation_idempotency_keys(request_id);
