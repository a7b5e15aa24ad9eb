-- As on PostgreSQL; the table is explained there.
CREATE TABLE generation_shares (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    media_id         INTEGER NOT NULL REFERENCES generation_media(id) ON DELETE CASCADE,
    token_hash       BLOB NOT NULL CONSTRAINT ck_generation_shares_token_hash CHECK (length(token_hash) = 32),
    title            TEXT CHECK (length(title) <= 200),
    max_size         INTEGER,
    show_recipe      BOOLEAN NOT NULL DEFAULT FALSE,
    files            TEXT NOT NULL CHECK (json_valid(files)),
    created_at       TEXT NOT NULL,
    expires_at       TEXT,
    revoked_at       TEXT
);
CREATE UNIQUE INDEX idx_generation_shares_token ON generation_shares(token_hash);
CREATE INDEX idx_generation_shares_media ON generation_shares(media_id, id);
