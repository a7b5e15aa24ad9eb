-- As on PostgreSQL; the table is explained there.
CREATE TABLE generation_api_keys (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT NOT NULL CHECK (length(name) <= 64),
    role            TEXT NOT NULL CONSTRAINT ck_generation_api_keys_role CHECK (role IN ('service', 'admin')),
    tag             BLOB NOT NULL CONSTRAINT ck_generation_api_keys_tag CHECK (length(tag) = 32),
    secret_id       INTEGER NOT NULL,
    created_at      TEXT NOT NULL,
    expires_at      TEXT,
    revoked_at      TEXT,
    last_used_at    TEXT
);
