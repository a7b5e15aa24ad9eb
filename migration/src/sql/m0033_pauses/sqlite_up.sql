-- As on PostgreSQL; all is explained there.
CREATE TABLE generation_pauses (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    provider        TEXT CHECK (length(provider) <= 64),
    feature_id      INTEGER REFERENCES generation_features(id) ON DELETE CASCADE,
    reason          TEXT NOT NULL CHECK (length(reason) <= 500),
    actor           TEXT NOT NULL CHECK (length(actor) <= 80),
    created_at      TEXT NOT NULL,
    CONSTRAINT ck_generation_pauses_part CHECK (provider IS NULL OR feature_id IS NULL)
);
CREATE UNIQUE INDEX idx_generation_pauses_provider ON generation_pauses(provider);
CREATE UNIQUE INDEX idx_generation_pauses_feature ON generation_pauses(feature_id);
CREATE UNIQUE INDEX idx_generation_pauses_whole ON generation_pauses(COALESCE(provider, ''))
    WHERE provider IS NULL AND feature_id IS NULL;

CREATE TABLE generation_workers (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT NOT NULL CHECK (length(name) <= 64),
    instance        TEXT NOT NULL CHECK (length(instance) <= 36),
    host            TEXT NOT NULL CHECK (length(host) <= 255),
    role            TEXT NOT NULL CHECK (length(role) <= 16),
    version         TEXT NOT NULL CHECK (length(version) <= 32),
    capabilities    TEXT NOT NULL CHECK (json_valid(capabilities)),
    slots           INTEGER NOT NULL,
    started_at      TEXT NOT NULL,
    seen_at         TEXT NOT NULL,
    drained_at      TEXT,
    drain_reason    TEXT CHECK (length(drain_reason) <= 500),
    drain_actor     TEXT CHECK (length(drain_actor) <= 80)
);
CREATE UNIQUE INDEX idx_generation_workers_name ON generation_workers(name);

ALTER TABLE generation_jobs ADD COLUMN paused BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX idx_generation_jobs_paused ON generation_jobs(feature_id)
    WHERE paused = TRUE AND status = 'pending' AND deleted_at IS NULL;
DROP INDEX idx_generation_jobs_last_of_user;
CREATE INDEX idx_generation_jobs_last_of_user
    ON generation_jobs(user_id, paused, COALESCE(provider, json_extract(input_json, '$.provider'), ''), category, priority, COALESCE(pass, id))
    WHERE status = 'pending' AND deleted_at IS NULL;
DROP INDEX idx_generation_jobs_provider_claim;
CREATE INDEX idx_generation_jobs_provider_claim
    ON generation_jobs(COALESCE(provider, json_extract(input_json, '$.provider'), ''), category, held, priority DESC, COALESCE(pass, id), id)
    WHERE status = 'pending' AND deleted_at IS NULL AND parked = FALSE AND paused = FALSE;
DROP INDEX idx_generation_jobs_limited;
CREATE INDEX idx_generation_jobs_limited
    ON generation_jobs(user_id, held, COALESCE(provider, json_extract(input_json, '$.provider'), ''), category, priority DESC, COALESCE(pass, id), id)
    WHERE concurrency IS NOT NULL AND status = 'pending' AND deleted_at IS NULL AND parked = FALSE AND paused = FALSE;
