-- The DDL of the generation domain's specification, word for word, with two corrections: the comma after 'audio'
-- (a syntax error) is dropped, and media_type is NOT NULL, as the specification's own list of mandatory columns
-- demands. `users` belongs to the Identity domain and stands here only because the foreign keys need it.
-- Migration 1 is held against this file by tests/it/schema.rs; change it only when the specification changes.
CREATE TABLE users (id BIGSERIAL PRIMARY KEY);

-- Cái này giống như Category, là loại media mình expect AI tạo ra
CREATE TYPE generation_media_type_enum AS ENUM (
    'image',   -- Image file
    'video',   -- Video file (Future)
    'audio'    -- Audio file (Future)
);

CREATE TYPE generation_job_status_enum AS ENUM (
    'pending',     -- Job đã được tạo, chờ xử lý (Job chưa vào worker)
    'processing',  -- Đang xử lý (Job đã vào worker, chưa xong)
    'completed',   -- Hoàn thành (Done)
    'failed',      -- Thất bại (Failed hoặc Error)
    'cancelled'    -- Bị hủy (Future) (User cancel, chỉ cho phép cancel khi job đang pending)
);

CREATE TABLE generation_features (
    id              BIGSERIAL PRIMARY KEY,
    name            VARCHAR(128) NOT NULL,         -- Feature name (e.g., "banner_generator", "tiktok_video")
    description     TEXT,
    category        generation_media_type_enum NOT NULL,  -- Enum: image, video, audio

    -- Configuration
    system_prompt   TEXT,                           -- System prompt specific to this feature
    properties      JSONB,                          -- Flexible properties (e.g., {"max_resolution": "4K", "formats": ["png", "jpg"], "max_duration": 60})

    -- UI/UX
    preview_url     TEXT,                           -- Preview image/video URL for advertising
    icon_url        TEXT,                           -- Feature icon URL

    -- Status
    is_active       BOOLEAN NOT NULL DEFAULT TRUE,
    order_index     INTEGER NOT NULL DEFAULT 0,     -- Display order within category (để sắp xếp feature nào hot lên trước)

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

    name            VARCHAR(128) NOT NULL,         -- Template name (e.g., "Modern Banner", "TikTok Dance")
    description     TEXT,

    -- Template configuration
    template_data   JSONB NOT NULL,                -- Template configuration/data (e.g., {"style": "modern", "colors": [...], "layout": {...}})
    preview_url     TEXT,                          -- Preview image/video URL

    -- Trending & Popularity
    is_trending     BOOLEAN NOT NULL DEFAULT FALSE, -- Nếu trending score cao thì set, hoặc set thủ công (để UI lấy cho dễ)
    trend_score     INTEGER NOT NULL DEFAULT 0,    -- Trend/popularity score (higher = more popular) (Optional) (Tạm chưa có cách tính)
    usage_count     INTEGER NOT NULL DEFAULT 0,    -- Number of times template has been used, tính số user dùng quota template này (Optional)
    view_count      INTEGER NOT NULL DEFAULT 0,    -- Number of times template has been viewed, tính user access vào template này (Optinal)

    -- Trend lifecycle
    trend_start_date TIMESTAMP WITH TIME ZONE, -- (Optional) dùng để xác định trend
    trend_end_date   TIMESTAMP WITH TIME ZONE, -- (Optional)

    -- Search & Filter
    tags            TEXT[],                        -- Tags for filtering/searching (e.g., ["viral", "summer", "2024"])

    -- Status
    is_active       BOOLEAN NOT NULL DEFAULT TRUE,
    order_index     INTEGER NOT NULL DEFAULT 0,     -- Display order within feature

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
    project_id      BIGINT,                        -- References workspace.projects (sẽ tạo sau), nullable cho MVP
    feature_id      BIGINT NOT NULL REFERENCES generation_features(id) ON DELETE RESTRICT,
    template_id     BIGINT REFERENCES generation_templates(id) ON DELETE SET NULL,  -- Optional: selected template, nếu không có template để null

    -- Prompts
    template_prompt  TEXT,                          -- Prompt từ template (extracted from template_data) (Prompt đặc biệt cho trend)
    system_prompt   TEXT,                          -- System prompt từ feature (Snapshot System Prompt lấy từ feeature)
    user_prompt      TEXT NOT NULL,                -- User's input prompt (main prompt text)

    -- User inputs
    user_media_urls TEXT[],                        -- Array of user uploaded media URLs (images, videos, etc.) (Optional) (Các media user đính kèm vào prompts)
    input_metadata   JSONB,                        -- Structured prompt data and additional input metadata: {"negative_prompt": "...", "seed": 123, "cfg_scale": 7.5, "lora_weights": {...}, "product_url": "...", "batch_size": 10} (Optional) (Các config đặt biệt, để dễ mở rộng)

    -- Status
    status          VARCHAR(32) NOT NULL DEFAULT 'pending',  -- pending, processing, completed, failed, cancelled


    -- Metadata
    metadata        JSONB,                         -- Additional metadata for this request

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

    -- Denormalized fields for performance
    user_id         BIGINT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    project_id      BIGINT,                        -- Denormalized from request -- (Optional) (để dễ trace và log)
    feature_id      BIGINT NOT NULL REFERENCES generation_features(id) ON DELETE RESTRICT, -- (Optional) (để dễ trace và log)
    category        generation_media_type_enum NOT NULL,  -- Denormalized from feature.category -- (Optional) (để dễ trace và log)

    -- Job status & priority
    status          generation_job_status_enum NOT NULL DEFAULT 'pending',
    priority        INTEGER NOT NULL DEFAULT 0,     -- Higher = higher priority (Pro users $49.99 get higher priority than Free users)
    worker_id       VARCHAR(64),                   -- Worker instance ID (for debugging and tracing which GPU is processing this job)

    -- Input/Output
    input_json      JSONB NOT NULL,               -- Flexible input structure (e.g., {"prompt": "...", "settings": {...}})
    output_metadata JSONB,                        -- Output metadata (e.g., {"model": "...", "duration": 30, "cost": 10})

    -- Error handling
    error_message   TEXT,                         -- Error message if failed
    error_code      VARCHAR(64),                  -- Error code for programmatic handling

    -- Timing
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
    job_id          BIGINT REFERENCES generation_jobs(id) ON DELETE SET NULL,  -- Optional: link to job that generated this media

    -- Media info
    media_url       TEXT NOT NULL,               -- URL to generated media (S3 link)
    media_type      generation_media_type_enum NOT NULL,  -- image, video, audio, document
    file_size       BIGINT,                      -- File size in bytes
    duration        INTEGER,                     -- Duration in seconds (for video/audio) (Cần thiết để sau này optimize)

    -- Media metadata
    metadata        JSONB,                      -- Media metadata (e.g., {"resolution": "1080p", "format": "mp4", "fps": 30})
    blurhash        VARCHAR(64) NOT NULL,        -- BlurHash string for instant UI loading (required for smooth UX)
    tiny_preview_base64 TEXT,                    -- Alternative: tiny base64 preview (optional, alternative to blurhash)

    created_at      TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    updated_at      TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    deleted_at      TIMESTAMP WITH TIME ZONE
);

CREATE INDEX idx_generation_media_request_id ON generation_media(request_id) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_media_job_id ON generation_media(job_id) WHERE job_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_media_type ON generation_media(media_type) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_media_deleted_at ON generation_media(deleted_at);
