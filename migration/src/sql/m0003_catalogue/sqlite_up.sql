-- As on PostgreSQL; the columns and tables are explained there.

ALTER TABLE generation_features ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE generation_templates ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE generation_requests ADD COLUMN version BIGINT NOT NULL DEFAULT 1;

ALTER TABLE generation_templates ADD COLUMN trend_weight REAL NOT NULL DEFAULT 0
    CONSTRAINT ck_generation_templates_trend_weight CHECK (trend_weight >= 0);
ALTER TABLE generation_templates ADD COLUMN trend_weighed_at TEXT;

CREATE TABLE generation_template_tallies (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    template_id     BIGINT NOT NULL,
    uses            INTEGER NOT NULL,
    views           INTEGER NOT NULL,
    created_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    CONSTRAINT ck_generation_template_tallies_counts CHECK (uses >= 0 AND views >= 0)
);

CREATE TABLE generation_template_views (
    template_id     BIGINT NOT NULL,
    user_id         BIGINT NOT NULL,
    day             INTEGER NOT NULL,
    PRIMARY KEY (day, template_id, user_id)
);

ALTER TABLE generation_media ADD COLUMN role TEXT NOT NULL DEFAULT 'original'
    CONSTRAINT ck_generation_media_role CHECK (role IN ('original', 'format', 'thumbnail', 'preview', 'poster'));
UPDATE generation_media SET role = metadata ->> 'role'
    WHERE metadata ->> 'role' IN ('format', 'thumbnail', 'preview', 'poster');

CREATE INDEX idx_generation_templates_trend_weight ON generation_templates(id) WHERE trend_weight > 0;
CREATE INDEX idx_generation_templates_trend_window ON generation_templates(id)
    WHERE trend_start_date IS NOT NULL OR trend_end_date IS NOT NULL;
CREATE INDEX idx_generation_jobs_of_request ON generation_jobs(request_id, id);
DROP INDEX idx_generation_requests_user_page;
DROP INDEX idx_generation_jobs_user_page;
CREATE INDEX idx_generation_requests_user_page ON generation_requests(user_id, id DESC);
CREATE INDEX idx_generation_requests_project_page ON generation_requests(project_id, id DESC)
    WHERE project_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_requests_feature_page ON generation_requests(feature_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_requests_template_page ON generation_requests(template_id, id DESC)
    WHERE template_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_requests_created_at ON generation_requests(created_at) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_user_page ON generation_jobs(user_id, id DESC);
CREATE INDEX idx_generation_jobs_project_page ON generation_jobs(project_id, id DESC)
    WHERE project_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_feature_page ON generation_jobs(feature_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_worker_page ON generation_jobs(worker_id, id DESC)
    WHERE worker_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_media_of_request ON generation_media(request_id, id);
CREATE INDEX idx_generation_media_of_job ON generation_media(job_id, id) WHERE job_id IS NOT NULL;
