-- As on PostgreSQL; the column is explained there.

ALTER TABLE generation_media ADD COLUMN sha256 TEXT;
UPDATE generation_media SET sha256 = metadata ->> 'sha256' WHERE length(metadata ->> 'sha256') = 64;

CREATE INDEX idx_generation_media_sha256 ON generation_media(sha256, id DESC) WHERE sha256 IS NOT NULL AND deleted_at IS NULL;
