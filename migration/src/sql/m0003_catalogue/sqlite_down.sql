DROP INDEX idx_generation_media_of_job;
DROP INDEX idx_generation_media_of_request;
DROP INDEX idx_generation_jobs_worker_page;
DROP INDEX idx_generation_jobs_feature_page;
DROP INDEX idx_generation_jobs_project_page;
DROP INDEX idx_generation_jobs_user_page;
DROP INDEX idx_generation_requests_created_at;
DROP INDEX idx_generation_requests_template_page;
DROP INDEX idx_generation_requests_feature_page;
DROP INDEX idx_generation_requests_project_page;
DROP INDEX idx_generation_requests_user_page;
CREATE INDEX idx_generation_requests_user_page ON generation_requests(user_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX idx_generation_jobs_user_page ON generation_jobs(user_id, id DESC) WHERE deleted_at IS NULL;
DROP INDEX idx_generation_jobs_of_request;
DROP INDEX idx_generation_templates_trend_window;
DROP INDEX idx_generation_templates_trend_weight;

DROP TABLE generation_template_views;
DROP TABLE generation_template_tallies;

ALTER TABLE generation_media DROP COLUMN role;
ALTER TABLE generation_templates DROP COLUMN trend_weighed_at;
ALTER TABLE generation_templates DROP COLUMN trend_weight;
ALTER TABLE generation_templates DROP COLUMN version;
ALTER TABLE generation_requests DROP COLUMN version;
ALTER TABLE generation_features DROP COLUMN version;
