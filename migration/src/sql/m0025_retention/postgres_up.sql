-- What is kept for how long, see docs/retention.md.

-- Hidden from lists since then; null while the request is shown.
ALTER TABLE generation_requests ADD COLUMN archived_at TIMESTAMP WITH TIME ZONE;
-- How those of its jobs had ended that are removed by now: its status stays the sum of all.
ALTER TABLE generation_requests
    ADD COLUMN purged_jobs      INTEGER NOT NULL DEFAULT 0,    -- all of them
    ADD COLUMN purged_completed INTEGER NOT NULL DEFAULT 0,    -- and those that count for it
    ADD COLUMN purged_failed    INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN purged_cancelled INTEGER NOT NULL DEFAULT 0;

-- When the file of a deleted media was given up; the row stays. Its storage_key stays until the file is really gone.
ALTER TABLE generation_media
    ADD COLUMN content_deleted_at TIMESTAMP WITH TIME ZONE
        CONSTRAINT ck_generation_media_content CHECK (content_deleted_at IS NULL OR deleted_at IS NOT NULL);

-- Each step: whose turn it is, and what its last run has done.
CREATE TABLE generation_retention_steps (
    step            VARCHAR(32) PRIMARY KEY,
    holder          VARCHAR(36),                  -- a UUID of the run that goes on
    held_until      TIMESTAMP WITH TIME ZONE,     -- from when on another may take it
    ran_at          TIMESTAMP WITH TIME ZONE,     -- when the last run has ended
    removed         BIGINT NOT NULL DEFAULT 0,    -- what that has done
    error           VARCHAR(64)                   -- the reason that it was cut off for; null if it was not
);

-- What each step looks for, the oldest first. Intake pays for none of them: a request comes into its index when it has ended.
CREATE INDEX idx_generation_requests_unarchived ON generation_requests(updated_at, id)
    WHERE deleted_at IS NULL AND archived_at IS NULL AND status IN ('completed', 'failed', 'cancelled');
CREATE INDEX idx_generation_requests_plan_ended ON generation_requests(plan, updated_at, id)
    WHERE plan IS NOT NULL AND deleted_at IS NULL AND status IN ('completed', 'failed', 'cancelled');
CREATE INDEX idx_generation_jobs_completed_at ON generation_jobs(completed_at, id) WHERE completed_at IS NOT NULL;
CREATE INDEX idx_generation_media_deleted_content ON generation_media(deleted_at, id)
    WHERE deleted_at IS NOT NULL AND content_deleted_at IS NULL;
CREATE INDEX idx_generation_media_given_up ON generation_media(id)
    WHERE content_deleted_at IS NOT NULL AND storage_key IS NOT NULL;
CREATE INDEX idx_generation_idempotency_keys_age ON generation_idempotency_keys(created_at);

-- The pages of a feature and of a template, with what is deleted: the foreign keys look there for rows that are, too.
DROP INDEX idx_generation_requests_feature_page;
DROP INDEX idx_generation_requests_template_page;
DROP INDEX idx_generation_jobs_feature_page;
CREATE INDEX idx_generation_requests_feature_page ON generation_requests(feature_id, id DESC);
CREATE INDEX idx_generation_requests_template_page ON generation_requests(template_id, id DESC) WHERE template_id IS NOT NULL;
CREATE INDEX idx_generation_jobs_feature_page ON generation_jobs(feature_id, id DESC);
CREATE INDEX idx_generation_templates_of_feature ON generation_templates(feature_id);
