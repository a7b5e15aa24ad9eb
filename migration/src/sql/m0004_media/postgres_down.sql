DROP INDEX idx_generation_media_sha256;
ALTER TABLE generation_media DROP COLUMN sha256;
