-- Templates are tried before they are published, and galleries show what they make.

-- A request that only tries a template. Intake of others pays nothing for the index: it holds previews alone.
ALTER TABLE generation_requests ADD COLUMN is_preview BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX idx_generation_requests_previews ON generation_requests(deleted_at, created_at) WHERE is_preview = TRUE;

-- The media that stands for it. No foreign key: a media that is gone is no preview, and every purge would have to look here.
ALTER TABLE generation_features ADD COLUMN preview_media_id BIGINT;
ALTER TABLE generation_templates ADD COLUMN preview_media_id BIGINT;

-- The data that a template has had, each from a version on; the last ones, so that a recipe's version can be looked up.
CREATE TABLE generation_template_versions (
    template_id     BIGINT NOT NULL REFERENCES generation_templates(id) ON DELETE CASCADE,
    version         BIGINT NOT NULL,
    template_data   JSONB NOT NULL,
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (template_id, version)
);

INSERT INTO generation_template_versions (template_id, version, template_data, created_at)
    SELECT id, version, template_data, updated_at FROM generation_templates;
