-- As on PostgreSQL; all is explained there.
CREATE INDEX idx_generation_features_limited ON generation_features(id)
    WHERE json_extract(properties, '$.max_concurrent_jobs') IS NOT NULL;

ALTER TABLE generation_jobs ADD COLUMN counted BOOLEAN NOT NULL DEFAULT FALSE;

CREATE INDEX idx_generation_jobs_next_of_feature
    ON generation_jobs(feature_id, COALESCE(provider, json_extract(input_json, '$.provider'), ''), priority DESC, user_id, COALESCE(pass, id), id)
    WHERE paused = TRUE AND status = 'pending' AND deleted_at IS NULL;
