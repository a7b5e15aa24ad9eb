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
