-- As on PostgreSQL, where it is explained. The index says json_extract, which an older sqlite3 knows that reads a dump.

UPDATE generation_jobs SET provider = json_extract(input_json, '$.provider')
    WHERE status = 'pending' AND provider IS NULL AND length(json_extract(input_json, '$.provider')) <= 64;

CREATE TABLE generation_capabilities (
    provider        TEXT NOT NULL CHECK (length(provider) <= 64),
    category        TEXT NOT NULL CHECK (category IN ('image', 'video', 'audio')),
    seen_at         TEXT,
    missing         TEXT,
    PRIMARY KEY (provider, category)
);

INSERT INTO generation_capabilities (provider, category, seen_at)
    SELECT DISTINCT provider, category, strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now') FROM generation_jobs
    WHERE status = 'pending' AND provider IS NOT NULL;

CREATE INDEX idx_generation_jobs_provider_claim
    ON generation_jobs(COALESCE(provider, json_extract(input_json, '$.provider'), ''), category, priority DESC, id)
    WHERE status = 'pending' AND deleted_at IS NULL;
DROP INDEX idx_generation_jobs_claim;
