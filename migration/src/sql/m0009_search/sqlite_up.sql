-- As on PostgreSQL, where it is explained. The indexes say IS NOT, which an older sqlite3 knows that reads a dump.

ALTER TABLE generation_features ADD COLUMN search_text TEXT;
ALTER TABLE generation_features ADD COLUMN search_version BIGINT;
ALTER TABLE generation_templates ADD COLUMN search_text TEXT;
ALTER TABLE generation_templates ADD COLUMN search_tags TEXT;
ALTER TABLE generation_templates ADD COLUMN search_version BIGINT;

CREATE INDEX idx_generation_features_unfolded ON generation_features(id) WHERE search_version IS NOT version;
CREATE INDEX idx_generation_templates_unfolded ON generation_templates(id) WHERE search_version IS NOT version;
