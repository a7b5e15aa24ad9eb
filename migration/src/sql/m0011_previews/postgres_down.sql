DROP TABLE generation_template_versions;
ALTER TABLE generation_templates DROP COLUMN preview_media_id;
ALTER TABLE generation_features DROP COLUMN preview_media_id;
DROP INDEX idx_generation_requests_previews;
ALTER TABLE generation_requests DROP COLUMN is_preview;
