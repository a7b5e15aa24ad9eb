-- What the whole API needs beyond execution: versions behind the etags, popularity of templates, roles of media.

-- Counts the changes that a client makes or sees, so that a stale etag is found. Counters and trends are not among them.
ALTER TABLE generation_features ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE generation_templates ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE generation_requests ADD COLUMN version BIGINT NOT NULL DEFAULT 1;

-- The decaying sum behind trend_score: its value at the moment beside it.
ALTER TABLE generation_templates
    ADD COLUMN trend_weight     DOUBLE PRECISION NOT NULL DEFAULT 0,
    ADD COLUMN trend_weighed_at TIMESTAMP WITH TIME ZONE,
    ADD CONSTRAINT ck_generation_templates_trend_weight CHECK (trend_weight >= 0);

-- Uses and views that are not folded into their template yet. A row is only ever added and taken, so counting locks no
-- template. No foreign key: a tally of a purged template counts for nothing.
CREATE TABLE generation_template_tallies (
    id              BIGSERIAL PRIMARY KEY,
    template_id     BIGINT NOT NULL,
    uses            INTEGER NOT NULL,
    views           INTEGER NOT NULL,
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    CONSTRAINT ck_generation_template_tallies_counts CHECK (uses >= 0 AND views >= 0)
);

-- Who has seen what today: a user's views of a template count once a day (UTC). Rows of earlier days are removed.
CREATE TABLE generation_template_views (
    template_id     BIGINT NOT NULL,
    user_id         BIGINT NOT NULL,
    day             INTEGER NOT NULL,              -- days since 1970-01-01
    PRIMARY KEY (day, template_id, user_id)
);

-- What a file is to its job; until now only in the metadata.
ALTER TABLE generation_media ADD COLUMN role VARCHAR(16) NOT NULL DEFAULT 'original';
UPDATE generation_media SET role = metadata ->> 'role'
    WHERE metadata ->> 'role' IN ('format', 'thumbnail', 'preview', 'poster');
ALTER TABLE generation_media
    ADD CONSTRAINT ck_generation_media_role CHECK (role IN ('original', 'format', 'thumbnail', 'preview', 'poster'));

-- Templates whose trend decays, and those with a window of their own: all that a fold looks at.
CREATE INDEX idx_generation_templates_trend_weight ON generation_templates(id) WHERE trend_weight > 0;
CREATE INDEX idx_generation_templates_trend_window ON generation_templates(id)
    WHERE trend_start_date IS NOT NULL OR trend_end_date IS NOT NULL;
-- All jobs of a request, those that are deleted too, which its watchers follow to the end.
CREATE INDEX idx_generation_jobs_of_request ON generation_jobs(request_id, id);
-- Pages, newest first, without sorting all that a filter finds or walking past all that it does not; a user's with what is
-- deleted, too.
DROP INDEX idx_generation_requests_user_page;
DROP INDEX idx_generation_jobs_user_page;
CREATE INDEX idx_generation_requests_user_page ON generation_requests(user_id, id DESC);
CREATE INDEX idx_generation_requests_project_page ON generation_requests(project_id, id DESC)
    WHERE project_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_requests_feature_page ON generation_requests(feature_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_requests_template_page ON generation_requests(template_id, id DESC)
    WHERE template_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_requests_created_at ON generation_requests(created_at) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_user_page ON generation_jobs(user_id, id DESC);
CREATE INDEX idx_generation_jobs_project_page ON generation_jobs(project_id, id DESC)
    WHERE project_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_feature_page ON generation_jobs(feature_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_worker_page ON generation_jobs(worker_id, id DESC)
    WHERE worker_id IS NOT NULL AND deleted_at IS NULL;
-- All media of a request or a job, those that are deleted too; also what the foreign keys look for.
CREATE INDEX idx_generation_media_of_request ON generation_media(request_id, id);
CREATE INDEX idx_generation_media_of_job ON generation_media(job_id, id) WHERE job_id IS NOT NULL;
