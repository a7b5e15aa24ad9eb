-- Public links to media, see docs/sharing.md. What a link is stands nowhere: its hash tells whether one that is asked for is it.
CREATE TABLE generation_shares (
    id               BIGSERIAL PRIMARY KEY,
    media_id         BIGINT NOT NULL REFERENCES generation_media(id) ON DELETE CASCADE,
    token_hash       BYTEA NOT NULL CONSTRAINT ck_generation_shares_token_hash CHECK (octet_length(token_hash) = 32),
    title            VARCHAR(200),              -- null where the page is to have the usual one
    max_size         INTEGER,                   -- pixels on the longest side; null for the media itself
    show_recipe      BOOLEAN NOT NULL DEFAULT FALSE, -- and all other metadata of the files
    files            JSONB NOT NULL,            -- what is sent, and what of it is not
    created_at       TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at       TIMESTAMP WITH TIME ZONE,  -- from when on it leads nowhere
    revoked_at       TIMESTAMP WITH TIME ZONE   -- when the owner ended it
);
CREATE UNIQUE INDEX idx_generation_shares_token ON generation_shares(token_hash);
CREATE INDEX idx_generation_shares_media ON generation_shares(media_id, id);
