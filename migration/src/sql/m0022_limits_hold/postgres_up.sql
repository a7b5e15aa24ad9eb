-- Retries of users whose plan counts requests: each has jobs made, as a request does. Upkeep removes them after a day.
CREATE TABLE generation_plan_retries (
    id              BIGSERIAL PRIMARY KEY,
    user_id         BIGINT NOT NULL,
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL
);
CREATE INDEX idx_generation_plan_retries_user ON generation_plan_retries(user_id, created_at);
CREATE INDEX idx_generation_plan_retries_age ON generation_plan_retries(created_at);

-- The ledger is only added to, see docs/credits.md.
CREATE FUNCTION generation_credit_transactions_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'movements of credits are only added';
END $$;
CREATE TRIGGER generation_credit_transactions_stay
    BEFORE UPDATE OR DELETE OR TRUNCATE ON generation_credit_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION generation_credit_transactions_stay();
