-- API keys of services. What a key is stands nowhere: its tag tells whether one that is shown is it.
CREATE TABLE generation_api_keys (
    id              BIGSERIAL PRIMARY KEY,        -- stands in the key
    name            VARCHAR(64) NOT NULL,         -- the client's, by which idempotency keys are told apart; several keys may have it
    role            VARCHAR(20) NOT NULL CONSTRAINT ck_generation_api_keys_role CHECK (role IN ('service', 'admin')),
    tag             BYTEA NOT NULL CONSTRAINT ck_generation_api_keys_tag CHECK (octet_length(tag) = 32),
    secret_id       INTEGER NOT NULL,             -- the key of generation_secrets, for 'api-keys', that has made the tag
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at      TIMESTAMP WITH TIME ZONE,     -- from when on it is refused
    revoked_at      TIMESTAMP WITH TIME ZONE,     -- when it was taken back
    last_used_at    TIMESTAMP WITH TIME ZONE      -- to a minute or so
);
