-- A job waits for a worker that can run it.

-- Until now a job's provider came into its column with the first submission; from now on a job has it from the beginning.
-- What an older program adds meanwhile has it in its input only.
UPDATE generation_jobs SET provider = input_json ->> 'provider'
    WHERE status = 'pending' AND provider IS NULL AND length(input_json ->> 'provider') <= 64;

-- What workers can run, and when one last said so.
CREATE TABLE generation_capabilities (
    provider        VARCHAR(64) NOT NULL,
    category        generation_media_type_enum NOT NULL,
    seen_at         TIMESTAMP WITH TIME ZONE,      -- null: never, as far as is known
    missing         TEXT,                          -- what a worker lacks that has the provider and cannot run it
    PRIMARY KEY (provider, category)
);

-- Workers of an older program do not say what they can run: what waits for them is given its time from now on.
INSERT INTO generation_capabilities (provider, category, seen_at)
    SELECT DISTINCT provider, category, NOW() FROM generation_jobs WHERE status = 'pending' AND provider IS NOT NULL;

-- The next job of a provider, which takes the place of the next job of all: a worker does not walk past what it cannot run.
CREATE INDEX idx_generation_jobs_provider_claim
    ON generation_jobs(COALESCE(CAST(provider AS TEXT), input_json ->> 'provider', ''), category, priority DESC, id)
    WHERE status = 'pending' AND deleted_at IS NULL;
DROP INDEX idx_generation_jobs_claim;
