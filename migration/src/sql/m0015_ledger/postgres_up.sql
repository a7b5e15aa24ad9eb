-- Credits that users were given, and of each grant what nobody has reserved or spent yet: the balance that runs along. What
-- is taken back from a user is a row too, with an amount below zero. No row refers to others, so that none goes with them.
CREATE TABLE generation_credit_grants (
    id              BIGSERIAL PRIMARY KEY,
    user_id         BIGINT NOT NULL,
    amount          BIGINT NOT NULL CHECK (amount <> 0),
    remaining       BIGINT NOT NULL CHECK (remaining >= 0),
    reason          VARCHAR(500) NOT NULL,
    idempotency_key VARCHAR(128) NOT NULL,
    expires_at      TIMESTAMP WITH TIME ZONE,     -- from when on nothing is reserved of it
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT ck_generation_credit_grants_remaining CHECK (remaining <= GREATEST(amount, 0)),
    CONSTRAINT uq_generation_credit_grants_key UNIQUE (user_id, idempotency_key)
);
CREATE INDEX idx_generation_credit_grants_open ON generation_credit_grants(user_id, id) WHERE remaining > 0;
CREATE INDEX idx_generation_credit_grants_expiry ON generation_credit_grants(expires_at)
    WHERE remaining > 0 AND expires_at IS NOT NULL;

-- Every movement of credits between two accounts, which is only added. Each has both of its entries, so that the sum over all
-- accounts is zero.
CREATE TABLE generation_credit_transactions (
    id              BIGSERIAL PRIMARY KEY,
    user_id         BIGINT NOT NULL,
    kind            VARCHAR(20) NOT NULL
        CHECK (kind IN ('grant', 'deduction', 'reservation', 'commit', 'release', 'expiry')),
    debited         VARCHAR(20) NOT NULL,         -- the account that the credits leave
    credited        VARCHAR(20) NOT NULL,         -- and the one that they come to
    amount          BIGINT NOT NULL CHECK (amount > 0),
    grant_id        BIGINT NOT NULL,              -- whose credits they are
    job_id          BIGINT,
    request_id      BIGINT,
    reason          VARCHAR(500),
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT ck_generation_credit_transactions_accounts CHECK (debited <> credited)
);
CREATE UNIQUE INDEX uq_generation_credit_transactions_reserved
    ON generation_credit_transactions(job_id, grant_id) WHERE kind = 'reservation';
CREATE UNIQUE INDEX uq_generation_credit_transactions_settled
    ON generation_credit_transactions(job_id, grant_id) WHERE kind IN ('commit', 'release');
CREATE INDEX idx_generation_credit_transactions_user ON generation_credit_transactions(user_id, id DESC);
CREATE INDEX idx_generation_credit_transactions_job ON generation_credit_transactions(job_id, id DESC)
    WHERE job_id IS NOT NULL;
CREATE INDEX idx_generation_credit_transactions_request ON generation_credit_transactions(request_id, id DESC)
    WHERE request_id IS NOT NULL;
