-- An object is one row's again, of those that share it the eldest live one's. The others stay as references without a file.
UPDATE generation_media SET storage_key = NULL,
    deleted_at = COALESCE(deleted_at, strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')), content_deleted_at = COALESCE(content_deleted_at, strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'))
WHERE id IN (
    SELECT id FROM (
        SELECT id, ROW_NUMBER() OVER (
            PARTITION BY storage_key ORDER BY content_deleted_at IS NOT NULL, deleted_at IS NOT NULL, id
        ) AS place
        FROM generation_media WHERE storage_key IS NOT NULL
    ) AS sharing WHERE place > 1
);
DROP INDEX idx_generation_media_content;
DROP INDEX idx_generation_media_object;
CREATE UNIQUE INDEX idx_generation_media_storage_key ON generation_media(storage_key) WHERE storage_key IS NOT NULL;
ALTER TABLE generation_media DROP COLUMN owner_id;
