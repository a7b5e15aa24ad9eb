-- As on PostgreSQL; the column and the indexes are explained there.

ALTER TABLE generation_requests ADD COLUMN title TEXT;
CREATE INDEX idx_generation_requests_user_updated ON generation_requests(user_id, updated_at DESC, id DESC)
    WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_requests_user_deleted ON generation_requests(user_id, id DESC) WHERE deleted_at IS NOT NULL;
CREATE INDEX idx_generation_requests_deleted_page ON generation_requests(id DESC) WHERE deleted_at IS NOT NULL;
CREATE INDEX idx_generation_jobs_created_at ON generation_jobs(created_at) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_error_page ON generation_jobs(error_code, id DESC)
    WHERE error_code IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_media_created_at ON generation_media(created_at) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_templates_name ON generation_templates(name) WHERE deleted_at IS NULL;

UPDATE generation_features SET search_version = NULL;
UPDATE generation_templates SET search_version = NULL;
