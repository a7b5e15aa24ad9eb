-- The same tables, columns, foreign-key actions and index names as on PostgreSQL, with the nearest types that SQLite has:
--   enum        TEXT with a CHECK          VARCHAR(n)  TEXT with a CHECK on its length in characters
--   JSONB       TEXT that is valid JSON    TEXT[]      TEXT that is a JSON array
--   TIMESTAMPTZ TEXT, RFC 3339 in UTC with the offset +00:00, so that text order is time order
-- AUTOINCREMENT keeps the ids of purged rows from being handed out again, as a sequence does.
-- idx_generation_templates_tags is missing: a B-tree over the array's JSON text could not serve a search by tag.

-- Belongs to the Identity domain; never dropped here.
CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY AUTOINCREMENT);

CREATE TABLE generation_features (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    name                TEXT NOT NULL CHECK (length(name) <= 128),
    description         TEXT,
    category            TEXT NOT NULL CHECK (category IN ('image', 'video', 'audio')),
    system_prompt       TEXT,
    properties          TEXT CHECK (json_valid(properties)),
    preview_url         TEXT,
    icon_url            TEXT,
    is_active           BOOLEAN NOT NULL DEFAULT TRUE,
    order_index         INTEGER NOT NULL DEFAULT 0,
    created_at          TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at          TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    deleted_at          TEXT
);

CREATE INDEX idx_generation_features_category ON generation_features(category) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_features_active ON generation_features(is_active, category, order_index) WHERE deleted_at IS NULL AND is_active = TRUE;
CREATE INDEX idx_generation_features_deleted_at ON generation_features(deleted_at);

CREATE TABLE generation_templates (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    feature_id          BIGINT NOT NULL REFERENCES generation_features(id) ON DELETE CASCADE,
    name                TEXT NOT NULL CHECK (length(name) <= 128),
    description         TEXT,
    template_data       TEXT NOT NULL CHECK (json_valid(template_data)),
    preview_url         TEXT,
    is_trending         BOOLEAN NOT NULL DEFAULT FALSE,
    trend_score         INTEGER NOT NULL DEFAULT 0,
    usage_count         INTEGER NOT NULL DEFAULT 0,
    view_count          INTEGER NOT NULL DEFAULT 0,
    trend_start_date    TEXT,
    trend_end_date      TEXT,
    tags                TEXT CHECK (json_type(tags) = 'array'),
    is_active           BOOLEAN NOT NULL DEFAULT TRUE,
    order_index         INTEGER NOT NULL DEFAULT 0,
    created_at          TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at          TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    deleted_at          TEXT
);

CREATE INDEX idx_generation_templates_feature_id ON generation_templates(feature_id) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_templates_active ON generation_templates(is_active, feature_id, order_index) WHERE deleted_at IS NULL AND is_active = TRUE;
CREATE INDEX idx_generation_templates_trending ON generation_templates(is_trending, trend_score DESC, feature_id) WHERE deleted_at IS NULL AND is_trending = TRUE;
CREATE INDEX idx_generation_templates_popularity ON generation_templates(trend_score DESC, usage_count DESC) WHERE deleted_at IS NULL AND is_active = TRUE;
CREATE INDEX idx_generation_templates_deleted_at ON generation_templates(deleted_at);

CREATE TABLE generation_requests (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id             BIGINT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    project_id          BIGINT,
    feature_id          BIGINT NOT NULL REFERENCES generation_features(id) ON DELETE RESTRICT,
    template_id         BIGINT REFERENCES generation_templates(id) ON DELETE SET NULL,
    template_prompt     TEXT,
    system_prompt       TEXT,
    user_prompt         TEXT NOT NULL,
    user_media_urls     TEXT CHECK (json_type(user_media_urls) = 'array'),
    input_metadata      TEXT CHECK (json_valid(input_metadata)),
    status              TEXT NOT NULL DEFAULT 'pending'
        CONSTRAINT ck_generation_requests_status
        CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
    metadata            TEXT CHECK (json_valid(metadata)),
    created_at          TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at          TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    deleted_at          TEXT
);

CREATE INDEX idx_generation_requests_user_id ON generation_requests(user_id) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_requests_project_id ON generation_requests(project_id) WHERE project_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_requests_feature_id ON generation_requests(feature_id) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_requests_template_id ON generation_requests(template_id) WHERE template_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_requests_status ON generation_requests(status) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_requests_user_status ON generation_requests(user_id, status) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_requests_deleted_at ON generation_requests(deleted_at);

CREATE TABLE generation_jobs (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id          BIGINT NOT NULL REFERENCES generation_requests(id) ON DELETE CASCADE,
    user_id             BIGINT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    project_id          BIGINT,
    feature_id          BIGINT NOT NULL REFERENCES generation_features(id) ON DELETE RESTRICT,
    category            TEXT NOT NULL CHECK (category IN ('image', 'video', 'audio')),
    status              TEXT NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
    priority            INTEGER NOT NULL DEFAULT 0,
    worker_id           TEXT CHECK (length(worker_id) <= 64),
    input_json          TEXT NOT NULL CHECK (json_valid(input_json)),
    output_metadata     TEXT CHECK (json_valid(output_metadata)),
    error_message       TEXT,
    error_code          TEXT CHECK (length(error_code) <= 64),
    started_at          TEXT,
    completed_at        TEXT,
    created_at          TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at          TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    deleted_at          TEXT
);

CREATE INDEX idx_generation_jobs_request_id ON generation_jobs(request_id) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_user_id ON generation_jobs(user_id) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_project_id ON generation_jobs(project_id) WHERE project_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_feature_id ON generation_jobs(feature_id) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_category ON generation_jobs(category) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_status ON generation_jobs(status) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_category_status ON generation_jobs(category, status) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_user_status ON generation_jobs(user_id, status) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_priority_status ON generation_jobs(priority DESC, status) WHERE deleted_at IS NULL AND status = 'pending';
CREATE INDEX idx_generation_jobs_worker_id ON generation_jobs(worker_id) WHERE worker_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_deleted_at ON generation_jobs(deleted_at);

CREATE TABLE generation_media (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id          BIGINT NOT NULL REFERENCES generation_requests(id) ON DELETE CASCADE,
    job_id              BIGINT REFERENCES generation_jobs(id) ON DELETE SET NULL,
    media_url           TEXT NOT NULL,
    media_type          TEXT NOT NULL CHECK (media_type IN ('image', 'video', 'audio')),
    file_size           BIGINT,
    duration            INTEGER,
    metadata            TEXT CHECK (json_valid(metadata)),
    blurhash            TEXT NOT NULL CHECK (length(blurhash) <= 64),
    tiny_preview_base64 TEXT,
    created_at          TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at          TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    deleted_at          TEXT
);

CREATE INDEX idx_generation_media_request_id ON generation_media(request_id) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_media_job_id ON generation_media(job_id) WHERE job_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_media_type ON generation_media(media_type) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_media_deleted_at ON generation_media(deleted_at);
