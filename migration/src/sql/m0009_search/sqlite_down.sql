DROP INDEX idx_generation_templates_unfolded;
DROP INDEX idx_generation_features_unfolded;
ALTER TABLE generation_templates DROP COLUMN search_version;
ALTER TABLE generation_templates DROP COLUMN search_tags;
ALTER TABLE generation_templates DROP COLUMN search_text;
ALTER TABLE generation_features DROP COLUMN search_version;
ALTER TABLE generation_features DROP COLUMN search_text;
