-- As on PostgreSQL; the tables are explained there.
CREATE TABLE generation_credit_grants (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id         INTEGER NOT NULL,
    amount          INTEGER NOT NULL CHECK (amount <> 0),
    remaining       INTEGER NOT NULL CHECK (remaining >= 0),
    reason          TEXT NOT NULL CHECK (length(reason) <= 500),
    idempotency_key TEXT NOT NULL CHECK (length(idempotency_key) <= 128),
    expires_at      TEXT,
    created_at      TEXT NOT NULL,
    CONSTRAINT ck_generation_credit_grants_remaining CHECK (remaining <= MAX(amount, 0)),
    CONSTRAINT uq_generation_credit_grants_key UNIQUE (user_id, idempotency_key)
);
CREATE INDEX idx_generation_credit_grants_open ON generation_credit_grants(user_id, id) WHERE remaining > 0;
CREATE INDEX idx_generation_credit_grants_expiry ON generation_credit_grants(expires_at)
    WHERE remaining > 0 AND expires_at IS NOT NULL;

CREATE TABLE generation_credit_transactions (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id         INTEGER NOT NULL,
    kind            TEXT NOT NULL
        CHECK (kind IN ('grant', 'deduction', 'reservation', 'commit', 'release', 'expiry')),
    debited         TEXT NOT NULL CHECK (length(debited) <= 20),
    credited        TEXT NOT NULL CHECK (length(credited) <= 20),
    amount          INTEGER NOT NULL CHECK (amount > 0),
    grant_id        INTEGER NOT NULL,
    job_id          INTEGER,
    request_id      INTEGER,
    reason          TEXT CHECK (length(reason) <= 500),
    created_at      TEXT NOT NULL,
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
