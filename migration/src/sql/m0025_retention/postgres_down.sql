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
