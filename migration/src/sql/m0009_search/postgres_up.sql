-- What a search compares: name and description, and the tags, in one form of Unicode and without case, as the program folds
-- them. They are those of the version beside them. What an older program writes, and all that was there before, is of none or
-- of a version that is gone by, and is folded before the next search.
ALTER TABLE generation_features
    ADD COLUMN search_text      TEXT,
    ADD COLUMN search_version   BIGINT;
ALTER TABLE generation_templates
    ADD COLUMN search_text      TEXT,
    ADD COLUMN search_tags      TEXT[],
    ADD COLUMN search_version   BIGINT;

-- What is to be folded: nothing, nearly always.
CREATE INDEX idx_generation_features_unfolded ON generation_features(id) WHERE search_version IS DISTINCT FROM version;
CREATE INDEX idx_generation_templates_unfolded ON generation_templates(id) WHERE search_version IS DISTINCT FROM version;

CREATE INDEX idx_generation_templates_search_tags ON generation_templates USING GIN(search_tags) WHERE deleted_at IS NULL;
DROP INDEX idx_generation_templates_tags;
