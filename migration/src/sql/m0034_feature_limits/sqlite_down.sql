DROP INDEX idx_generation_jobs_next_of_feature;
ALTER TABLE generation_jobs DROP COLUMN counted;
DROP INDEX idx_generation_features_limited;
