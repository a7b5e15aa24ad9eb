DROP INDEX idx_generation_jobs_of_request;
DROP INDEX idx_generation_templates_trend_window;
DROP INDEX idx_generation_templates_trend_weight;

DROP TABLE generation_template_views;
DROP TABLE generation_template_tallies;

-- Constraints over a dropped column go with it.
ALTER TABLE generation_media DROP COLUMN role;
ALTER TABLE generation_templates
    DROP COLUMN trend_weighed_at,
    DROP COLUMN trend_weight,
    DROP COLUMN version;
ALTER TABLE generation_requests DROP COLUMN version;
ALTER TABLE generation_features DROP COLUMN version;
