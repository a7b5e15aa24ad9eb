DROP INDEX idx_generation_templates_live_name;
DROP INDEX idx_generation_features_live_name;
DROP INDEX idx_generation_jobs_user_page;
DROP INDEX idx_generation_requests_user_page;
DROP INDEX idx_generation_jobs_claim;
DROP INDEX idx_generation_jobs_lease;

DROP TABLE generation_idempotency_keys;
DROP TABLE generation_job_events;

-- Constraints and indexes over a dropped column go with it.
ALTER TABLE generation_media DROP COLUMN storage_key;

ALTER TABLE generation_requests DROP CONSTRAINT ck_generation_requests_status;

ALTER TABLE generation_jobs
    DROP CONSTRAINT ck_generation_jobs_finished,
    DROP CONSTRAINT ck_generation_jobs_failed,
    DROP COLUMN error_detail,
    DROP COLUMN provider_task_id,
    DROP COLUMN submission_key,
    DROP COLUMN provider,
    DROP COLUMN superseded_by,
    DROP COLUMN progress_preview,
    DROP COLUMN progress_message,
    DROP COLUMN progress,
    DROP COLUMN lease_expires_at,
    DROP COLUMN lease_token,
    DROP COLUMN run_after,
    DROP COLUMN max_attempts,
    DROP COLUMN attempt,
    DROP COLUMN variation,
    DROP COLUMN revision;
