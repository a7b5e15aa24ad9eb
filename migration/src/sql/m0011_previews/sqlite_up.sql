-- As on PostgreSQL; the columns are explained there.

ALTER TABLE generation_requests ADD COLUMN is_preview BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX idx_generation_requests_previews ON generation_requests(deleted_at, created_at) WHERE is_preview = TRUE;

ALTER TABLE generation_features ADD COLUMN preview_media_id BIGINT;
ALTER TABLE generation_templates ADD COLUMN preview_media_id BIGINT;

CREATE TABLE generation_template_versions (
    template_id     BIGINT NOT NULL REFERENCES generation_templates(id) ON DELETE CASCADE,
    version         BIGINT NOT NULL,
    template_data   TEXT NOT NULL CHECK (json_valid(template_data)),
    created_at      TEXT NOT NULL,
    PRIMARY KEY (template_id, version)
);

INSERT INTO generation_template_versions (template_id, version, template_data, created_at)
    SELECT id, version, template_data, updated_at FROM generation_templates;
