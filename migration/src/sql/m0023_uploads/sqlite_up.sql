-- As on PostgreSQL; all is explained there.
CREATE TABLE generation_uploads (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id         BIGINT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    sha256          TEXT NOT NULL CHECK (length(sha256) <= 64),
    storage_key     TEXT NOT NULL CHECK (length(storage_key) <= 160),
    file_name       TEXT CHECK (length(file_name) <= 255),
    format          TEXT NOT NULL CHECK (length(format) <= 8),
    file_size       BIGINT NOT NULL CHECK (file_size > 0),
    width           INTEGER,
    height          INTEGER,
    duration_ms     BIGINT,
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL
);
CREATE UNIQUE INDEX idx_generation_uploads_content ON generation_uploads(user_id, sha256);
CREATE UNIQUE INDEX idx_generation_uploads_storage_key ON generation_uploads(storage_key);
CREATE INDEX idx_generation_uploads_user ON generation_uploads(user_id, id);
CREATE INDEX idx_generation_uploads_age ON generation_uploads(updated_at, id);

CREATE TABLE generation_request_uploads (
    request_id      BIGINT NOT NULL REFERENCES generation_requests(id) ON DELETE CASCADE,
    upload_id       BIGINT NOT NULL REFERENCES generation_uploads(id) ON DELETE CASCADE,
    PRIMARY KEY (request_id, upload_id)
);
CREATE INDEX idx_generation_request_uploads_upload ON generation_request_uploads(upload_id);

CREATE TABLE generation_upload_tickets (
    id              TEXT PRIMARY KEY NOT NULL CHECK (length(id) <= 36),
    user_id         INTEGER NOT NULL,
    upload_id       BIGINT REFERENCES generation_uploads(id) ON DELETE CASCADE,
    expires_at      TEXT NOT NULL
);
CREATE INDEX idx_generation_upload_tickets_upload ON generation_upload_tickets(upload_id);
CREATE INDEX idx_generation_upload_tickets_user ON generation_upload_tickets(user_id);
CREATE INDEX idx_generation_upload_tickets_age ON generation_upload_tickets(expires_at);
