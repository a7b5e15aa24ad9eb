-- An indexed column cannot be dropped, nor one that a constraint of another column names: indexes go first, then the
-- columns in the reverse of the order in which they were added.
DROP INDEX idx_generation_jobs_superseded_by;
DROP INDEX idx_generation_media_storage_key;
DROP INDEX idx_generation_templates_live_name;
DROP INDEX idx_generation_features_live_name;
DROP INDEX idx_generation_jobs_user_page;
DROP INDEX idx_generation_requests_user_page;
DROP INDEX idx_generation_jobs_lease;
DROP INDEX idx_generation_jobs_claim;

DROP TABLE generation_idempotency_keys;
DROP TABLE generation_job_events;

ALTER TABLE generation_media DROP COLUMN storage_key;

ALTER TABLE generation_jobs DROP COLUMN error_detail;
ALTER TABLE generation_jobs DROP COLUMN provider_task_id;
ALTER TABLE generation_jobs DROP COLUMN submission_key;
ALTER TABLE generation_jobs DROP COLUMN provider;
ALTER TABLE generation_jobs DROP COLUMN superseded_by;
ALTER TABLE generation_jobs DROP COLUMN progress_preview;
ALTER TABLE generation_jobs DROP COLUMN progress_message;
ALTER TABLE generation_jobs DROP COLUMN progress;
ALTER TABLE generation_jobs DROP COLUMN lease_expires_at;
ALTER TABLE generation_jobs DROP COLUMN lease_token;
ALTER TABLE generation_jobs DROP COLUMN run_after;
ALTER TABLE generation_jobs DROP COLUMN max_attempts;
ALTER TABLE generation_jobs DROP COLUMN attempt;
ALTER TABLE generation_jobs DROP COLUMN variation;
ALTER TABLE generation_jobs DROP COLUMN revision;
