CREATE INDEX idx_generation_templates_tags ON generation_templates USING GIN(tags) WHERE deleted_at IS NULL;
DROP INDEX idx_generation_templates_search_tags;
DROP INDEX idx_generation_templates_unfolded;
DROP INDEX idx_generation_features_unfolded;
ALTER TABLE generation_templates
    DROP COLUMN search_version,
    DROP COLUMN search_tags,
    DROP COLUMN search_text;
ALTER TABLE generation_features
    DROP COLUMN search_version,
    DROP COLUMN search_text;
