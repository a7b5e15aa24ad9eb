-- The secrets of this installation, the keys of every purpose; all replicas have the same.
CREATE TABLE generation_secrets (
    purpose         VARCHAR(40) NOT NULL,         -- what the key is for, such as 'download-links'
    key_id          INTEGER NOT NULL,             -- counts from 1 for each purpose; named by what the key has signed
    secret          BYTEA NOT NULL CONSTRAINT ck_generation_secrets_length CHECK (octet_length(secret) = 32),
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL,
    retired_at      TIMESTAMP WITH TIME ZONE,     -- from when on nothing verifies by it
    PRIMARY KEY (purpose, key_id)
);
