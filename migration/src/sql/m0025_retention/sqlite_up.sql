-- As on PostgreSQL; all is explained there.
ALTER TABLE generation_requests ADD COLUMN archived_at TEXT;
ALTER TABLE generation_requests ADD COLUMN purged_jobs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE generation_requests ADD COLUMN purged_completed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE generation_requests ADD COLUMN purged_failed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE generation_requests ADD COLUMN purged_cancelled INTEGER NOT NULL DEFAULT 0;

ALTER TABLE generation_media ADD COLUMN content_deleted_at TEXT
    CHECK (content_deleted_at IS NULL OR deleted_at IS NOT NULL);

CREATE TABLE generation_retention_steps (
    step            TEXT PRIMARY KEY CHECK (length(step) <= 32),
    holder          TEXT CHECK (length(holder) <= 36),
    held_until      TEXT,
    ran_at          TEXT,
    removed         INTEGER NOT NULL DEFAULT 0,
    error           TEXT CHECK (length(error) <= 64)
);

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

DROP INDEX idx_generation_requests_feature_page;
DROP INDEX idx_generation_requests_template_page;
DROP INDEX idx_generation_jobs_feature_page;
CREATE INDEX idx_generation_requests_feature_page ON generation_requests(feature_id, id DESC);
CREATE INDEX idx_generation_requests_template_page ON generation_requests(template_id, id DESC) WHERE template_id IS NOT NULL;
CREATE INDEX idx_generation_jobs_feature_page ON generation_jobs(feature_id, id DESC);
CREATE INDEX idx_generation_templates_of_feature ON generation_templates(feature_id);
