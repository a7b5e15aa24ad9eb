-- As on PostgreSQL; all is explained there.
ALTER TABLE generation_media ADD COLUMN owner_id INTEGER;

DROP INDEX idx_generation_media_storage_key;
CREATE INDEX idx_generation_media_object ON generation_media(storage_key) WHERE storage_key IS NOT NULL;
CREATE INDEX idx_generation_media_content ON generation_media(owner_id, sha256, id DESC)
    WHERE owner_id IS NOT NULL AND deleted_at IS NULL;
