-- As on PostgreSQL; the table is explained there.
CREATE TABLE generation_secrets (
    purpose         TEXT NOT NULL CHECK (length(purpose) <= 40),
    key_id          INTEGER NOT NULL,
    secret          BLOB NOT NULL CONSTRAINT ck_generation_secrets_length CHECK (length(secret) = 32),
    created_at      TEXT NOT NULL,
    retired_at      TEXT,
    PRIMARY KEY (purpose, key_id)
);
