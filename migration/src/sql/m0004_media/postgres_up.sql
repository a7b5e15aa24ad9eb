-- Media are found by what they contain.

-- SHA-256 of the file as 64 lower-case hexadecimal digits; null for rows that Atelier did not write.
ALTER TABLE generation_media ADD COLUMN sha256 VARCHAR(64);
UPDATE generation_media SET sha256 = metadata ->> 'sha256' WHERE length(metadata ->> 'sha256') = 64;

CREATE INDEX idx_generation_media_sha256 ON generation_media(sha256, id DESC) WHERE sha256 IS NOT NULL AND deleted_at IS NULL;
