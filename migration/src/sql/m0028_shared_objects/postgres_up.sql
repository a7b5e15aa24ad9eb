-- Equal files of one user are one object, see docs/media.md#objects.

-- Whose the file is, as its request tells, too; null in rows from before, whose objects stay theirs alone.
ALTER TABLE generation_media ADD COLUMN owner_id BIGINT;

-- Several rows may name an object, and the last of them takes it along.
DROP INDEX idx_generation_media_storage_key;
CREATE INDEX idx_generation_media_object ON generation_media(storage_key) WHERE storage_key IS NOT NULL;
-- The user's live files with these bytes, the newest first.
CREATE INDEX idx_generation_media_content ON generation_media(owner_id, sha256, id DESC)
    WHERE owner_id IS NOT NULL AND deleted_at IS NULL;
