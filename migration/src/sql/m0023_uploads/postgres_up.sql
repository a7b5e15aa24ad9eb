-- Files that users give, for requests to work from, see docs/uploads.md.
CREATE TABLE generation_uploads (
    id              BIGSERIAL PRIMARY KEY,
    user_id         BIGINT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    sha256          VARCHAR(64) NOT NULL,         -- of what is stored
    storage_key     VARCHAR(160) NOT NULL,        -- an object that no other row names, before or after
    file_name       VARCHAR(255),                 -- as the user calls it
    format          VARCHAR(8) NOT NULL,
    file_size       BIGINT NOT NULL CHECK (file_size > 0),
    width           INTEGER,
    height          INTEGER,
    duration_ms     BIGINT,
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at      TIMESTAMP WITH TIME ZONE NOT NULL -- when it was last given, or known to be used
);
CREATE UNIQUE INDEX idx_generation_uploads_content ON generation_uploads(user_id, sha256);
CREATE UNIQUE INDEX idx_generation_uploads_storage_key ON generation_uploads(storage_key);
CREATE INDEX idx_generation_uploads_user ON generation_uploads(user_id, id);
CREATE INDEX idx_generation_uploads_age ON generation_uploads(updated_at, id);

-- Which requests name them.
CREATE TABLE generation_request_uploads (
    request_id      BIGINT NOT NULL REFERENCES generation_requests(id) ON DELETE CASCADE,
    upload_id       BIGINT NOT NULL REFERENCES generation_uploads(id) ON DELETE CASCADE,
    PRIMARY KEY (request_id, upload_id)
);
CREATE INDEX idx_generation_request_uploads_upload ON generation_request_uploads(upload_id);

-- The URLs that were made to put a file to, and what has come by them: whoever asks again gets the same answer, and one whose user
-- is erased takes nothing.
CREATE TABLE generation_upload_tickets (
    id              VARCHAR(36) PRIMARY KEY,      -- stands in the URL
    user_id         BIGINT NOT NULL,              -- who may not be known yet
    upload_id       BIGINT REFERENCES generation_uploads(id) ON DELETE CASCADE, -- null while nothing has come
    expires_at      TIMESTAMP WITH TIME ZONE NOT NULL -- from when on nobody may ask any more
);
CREATE INDEX idx_generation_upload_tickets_upload ON generation_upload_tickets(upload_id);
CREATE INDEX idx_generation_upload_tickets_user ON generation_upload_tickets(user_id);
CREATE INDEX idx_generation_upload_tickets_age ON generation_upload_tickets(expires_at);
