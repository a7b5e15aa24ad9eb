-- As on PostgreSQL; the columns are explained there. SQLite can add a constraint only along with a column, and drops a
-- column only if no constraint of another column names it: so those over several columns stand with the last of them
-- that is added here, and the down script drops the columns in reverse.
-- The status of requests is checked since migration 1.

-- First, because SQLite checks a new constraint against the rows that exist.
UPDATE generation_jobs SET status = 'pending', worker_id = NULL, started_at = NULL WHERE status = 'processing';
UPDATE generation_jobs SET completed_at = updated_at
    WHERE status IN ('completed', 'failed', 'cancelled') AND completed_at IS NULL;
UPDATE generation_jobs SET completed_at = NULL WHERE status = 'pending' AND completed_at IS NOT NULL;
UPDATE generation_jobs SET error_code = 'INTERNAL' WHERE status = 'failed' AND error_code IS NULL;

ALTER TABLE generation_jobs ADD COLUMN revision BIGINT NOT NULL DEFAULT 0
    CONSTRAINT ck_generation_jobs_revision CHECK (revision >= 0)
    CONSTRAINT ck_generation_jobs_finished
        CHECK ((status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL))
    CONSTRAINT ck_generation_jobs_failed CHECK (status <> 'failed' OR error_code IS NOT NULL);
ALTER TABLE generation_jobs ADD COLUMN variation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE generation_jobs ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0
    CONSTRAINT ck_generation_jobs_attempt CHECK (attempt >= 0);
ALTER TABLE generation_jobs ADD COLUMN max_attempts INTEGER NOT NULL DEFAULT 3
    CONSTRAINT ck_generation_jobs_max_attempts CHECK (max_attempts >= 1);
-- An added column cannot default to the current time; every insert sets it, and an older row is due at once.
ALTER TABLE generation_jobs ADD COLUMN run_after TEXT NOT NULL DEFAULT '1970-01-01T00:00:00.000+00:00';
ALTER TABLE generation_jobs ADD COLUMN lease_token TEXT CHECK (length(lease_token) <= 36);
ALTER TABLE generation_jobs ADD COLUMN lease_expires_at TEXT
    CONSTRAINT ck_generation_jobs_processing
        CHECK (status <> 'processing'
            OR (started_at IS NOT NULL AND lease_token IS NOT NULL AND lease_expires_at IS NOT NULL))
    CONSTRAINT ck_generation_jobs_lease
        CHECK (status = 'processing' OR (lease_token IS NULL AND lease_expires_at IS NULL));
ALTER TABLE generation_jobs ADD COLUMN progress REAL NOT NULL DEFAULT 0
    CONSTRAINT ck_generation_jobs_progress CHECK (progress BETWEEN 0 AND 1);
ALTER TABLE generation_jobs ADD COLUMN progress_message TEXT;
ALTER TABLE generation_jobs ADD COLUMN progress_preview TEXT;
ALTER TABLE generation_jobs ADD COLUMN superseded_by BIGINT REFERENCES generation_jobs(id) ON DELETE SET NULL;
ALTER TABLE generation_jobs ADD COLUMN provider TEXT CHECK (length(provider) <= 64);
ALTER TABLE generation_jobs ADD COLUMN submission_key TEXT CHECK (length(submission_key) <= 36);
ALTER TABLE generation_jobs ADD COLUMN provider_task_id TEXT;
ALTER TABLE generation_jobs ADD COLUMN error_detail TEXT;

ALTER TABLE generation_media ADD COLUMN storage_key TEXT;

CREATE TABLE generation_job_events (
    job_id          BIGINT NOT NULL REFERENCES generation_jobs(id) ON DELETE CASCADE,
    revision        BIGINT NOT NULL,
    status          TEXT NOT NULL CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
    attempt         INTEGER NOT NULL,
    detail          TEXT CHECK (json_valid(detail)),
    created_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    PRIMARY KEY (job_id, revision)
);

CREATE TABLE generation_idempotency_keys (
    user_id         BIGINT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    key             TEXT NOT NULL CHECK (length(key) <= 128),
    fingerprint     TEXT NOT NULL CHECK (length(fingerprint) <= 64),
    request_id      BIGINT NOT NULL REFERENCES generation_requests(id) ON DELETE CASCADE,
    created_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    PRIMARY KEY (user_id, key)
);

CREATE INDEX idx_generation_jobs_claim ON generation_jobs(priority DESC, id) WHERE status = 'pending' AND deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_lease ON generation_jobs(lease_expires_at) WHERE status = 'processing';
CREATE INDEX idx_generation_requests_user_page ON generation_requests(user_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_user_page ON generation_jobs(user_id, id DESC) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX idx_generation_features_live_name ON generation_features(name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX idx_generation_templates_live_name ON generation_templates(feature_id, name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX idx_generation_media_storage_key ON generation_media(storage_key) WHERE storage_key IS NOT NULL;
CREATE INDEX idx_generation_jobs_superseded_by ON generation_jobs(superseded_by) WHERE superseded_by IS NOT NULL;
CREATE INDEX idx_generation_idempotency_keys_request ON generation_idempotency_keys(request_id);
