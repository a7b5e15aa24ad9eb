DROP INDEX idx_generation_templates_of_feature;
DROP INDEX idx_generation_jobs_feature_page;
DROP INDEX idx_generation_requests_template_page;
DROP INDEX idx_generation_requests_feature_page;
CREATE INDEX idx_generation_requests_feature_page ON generation_requests(feature_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_requests_template_page ON generation_requests(template_id, id DESC)
    WHERE template_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_feature_page ON generation_jobs(feature_id, id DESC) WHERE deleted_at IS NULL;
DROP INDEX idx_generation_idempotency_keys_age;
DROP INDEX idx_generation_media_given_up;
DROP INDEX idx_generation_media_deleted_content;
DROP INDEX idx_generation_jobs_completed_at;
DROP INDEX idx_generation_requests_plan_ended;
DROP INDEX idx_generation_requests_unarchived;
DROP TABLE generation_retention_steps;
ALTER TABLE generation_media DROP COLUMN content_deleted_at;
ALTER TABLE generation_requests
    DROP COLUMN purged_cancelled,
    DROP COLUMN purged_failed,
    DROP COLUMN purged_completed,
    DROP COLUMN purged_jobs,
    DROP COLUMN archived_at;
