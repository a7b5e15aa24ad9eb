-- The schema of the generation domain as its specification words it: same names, types, defaults, foreign-key actions
-- and indexes, in the same order. Only media_type is stricter: NOT NULL, as the list of mandatory columns demands.

-- Belongs to the Identity domain: created only where that domain has not brought its own, and never dropped here.
CREATE TABLE IF NOT EXISTS users (id BIGSERIAL PRIMARY KEY);

CREATE TYPE generation_media_type_enum AS ENUM (
    'image',
    'video',
    'audio'
);

CREATE TYPE generation_job_status_enum AS ENUM (
    'pending',
    'processing',
    'completed',
    'failed',
    'cancelled'
);

CREATE TABLE generation_features (
    id              BIGSERIAL PRIMARY KEY,
    name            VARCHAR(128) NOT NULL,
    description     TEXT,
    category        generation_media_type_enum NOT NULL,
    system_prompt   TEXT,
    properties      JSONB,
    preview_url     TEXT,
    icon_url        TEXT,
    is_active       BOOLEAN NOT NULL DEFAULT TRUE,
    order_index     INTEGER NOT NULL DEFAULT 0,
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    updated_at      TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    deleted_at      TIMESTAMP WITH TIME ZONE
);

CREATE INDEX idx_generation_features_category ON generation_features(category) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_features_active ON generation_features(is_active, category, order_index) WHERE deleted_at IS NULL AND is_active = TRUE;
CREATE INDEX idx_generation_features_deleted_at ON generation_features(deleted_at);

CREATE TABLE generation_templates (
    id              BIGSERIAL PRIMARY KEY,
    feature_id      BIGINT NOT NULL REFERENCES generation_features(id) ON DELETE CASCADE,
    name            VARCHAR(128) NOT NULL,
    description     TEXT,
    template_data   JSONB NOT NULL,
    preview_url     TEXT,
    is_trending     BOOLEAN NOT NULL DEFAULT FALSE,
    trend_score     INTEGER NOT NULL DEFAULT 0,
    usage_count     INTEGER NOT NULL DEFAULT 0,
    view_count      INTEGER NOT NULL DEFAULT 0,
    trend_start_date TIMESTAMP WITH TIME ZONE,
    trend_end_date   TIMESTAMP WITH TIME ZONE,
    tags            TEXT[],
    is_active       BOOLEAN NOT NULL DEFAULT TRUE,
    order_index     INTEGER NOT NULL DEFAULT 0,
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    updated_at      TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    deleted_at      TIMESTAMP WITH TIME ZONE
);

CREATE INDEX idx_generation_templates_feature_id ON generation_templates(feature_id) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_templates_active ON generation_templates(is_active, feature_id, order_index) WHERE deleted_at IS NULL AND is_active = TRUE;
CREATE INDEX idx_generation_templates_trending ON generation_templates(is_trending, trend_score DESC, feature_id) WHERE deleted_at IS NULL AND is_trending = TRUE;
CREATE INDEX idx_generation_templates_popularity ON generation_templates(trend_score DESC, usage_count DESC) WHERE deleted_at IS NULL AND is_active = TRUE;
CREATE INDEX idx_generation_templates_tags ON generation_templates USING GIN(tags) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_templates_deleted_at ON generation_templates(deleted_at);

CREATE TABLE generation_requests (
    id              BIGSERIAL PRIMARY KEY,
    user_id         BIGINT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    project_id      BIGINT,
    feature_id      BIGINT NOT NULL REFERENCES generation_features(id) ON DELETE RESTRICT,
    template_id     BIGINT REFERENCES generation_templates(id) ON DELETE SET NULL,
    template_prompt  TEXT,
    system_prompt   TEXT,
    user_prompt      TEXT NOT NULL,
    user_media_urls TEXT[],
    input_metadata   JSONB,
    status          VARCHAR(32) NOT NULL DEFAULT 'pending',
    metadata        JSONB,
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    updated_at      TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    deleted_at      TIMESTAMP WITH TIME ZONE
);

CREATE INDEX idx_generation_requests_user_id ON generation_requests(user_id) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_requests_project_id ON generation_requests(project_id) WHERE project_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_requests_feature_id ON generation_requests(feature_id) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_requests_template_id ON generation_requests(template_id) WHERE template_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_requests_status ON generation_requests(status) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_requests_user_status ON generation_requests(user_id, status) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_requests_deleted_at ON generation_requests(deleted_at);

CREATE TABLE generation_jobs (
    id              BIGSERIAL PRIMARY KEY,
    request_id      BIGINT NOT NULL REFERENCES generation_requests(id) ON DELETE CASCADE,
    user_id         BIGINT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    project_id      BIGINT,
    feature_id      BIGINT NOT NULL REFERENCES generation_features(id) ON DELETE RESTRICT,
    category        generation_media_type_enum NOT NULL,
    status          generation_job_status_enum NOT NULL DEFAULT 'pending',
    priority        INTEGER NOT NULL DEFAULT 0,
    worker_id       VARCHAR(64),
    input_json      JSONB NOT NULL,
    output_metadata JSONB,
    error_message   TEXT,
    error_code      VARCHAR(64),
    started_at      TIMESTAMP WITH TIME ZONE,
    completed_at    TIMESTAMP WITH TIME ZONE,
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    updated_at      TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    deleted_at      TIMESTAMP WITH TIME ZONE
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
    id              BIGSERIAL PRIMARY KEY,
    request_id      BIGINT NOT NULL REFERENCES generation_requests(id) ON DELETE CASCADE,
    job_id          BIGINT REFERENCES generation_jobs(id) ON DELETE SET NULL,
    media_url       TEXT NOT NULL,
    media_type      generation_media_type_enum NOT NULL,
    file_size       BIGINT,
    duration        INTEGER,
    metadata        JSONB,
    blurhash        VARCHAR(64) NOT NULL,
    tiny_preview_base64 TEXT,
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    updated_at      TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    deleted_at      TIMESTAMP WITH TIME ZONE
);

CREATE INDEX idx_generation_media_request_id ON generation_media(request_id) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_media_job_id ON generation_media(job_id) WHERE job_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_media_type ON generation_media(media_type) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_media_deleted_at ON generation_media(deleted_at);
