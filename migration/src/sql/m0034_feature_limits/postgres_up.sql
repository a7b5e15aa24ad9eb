-- How many jobs of a feature run at once, see docs/domain.md#the-queue.

-- Features with a limit: a claim looks whether its jobs are of one.
CREATE INDEX idx_generation_features_limited ON generation_features(id)
    WHERE (properties ->> 'max_concurrent_jobs') IS NOT NULL;

-- Whether another of its feature may begin when the job leaves its worker, or the queue.
ALTER TABLE generation_jobs ADD COLUMN counted BOOLEAN NOT NULL DEFAULT FALSE;

-- What is out of the queue because its feature is full, in the order in which it is let back. In words that only this index has: a
-- plan that is made while nothing is out of the queue would sort what another one finds.
CREATE INDEX idx_generation_jobs_next_of_feature
    ON generation_jobs(feature_id, COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), priority DESC, user_id, COALESCE(pass, id), id)
    WHERE (CASE WHEN paused THEN status = 'pending' AND deleted_at IS NULL END);
