-- As on PostgreSQL; all is explained there.
CREATE TABLE generation_plan_retries (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id         INTEGER NOT NULL,
    created_at      TEXT NOT NULL
);
CREATE INDEX idx_generation_plan_retries_user ON generation_plan_retries(user_id, created_at);
CREATE INDEX idx_generation_plan_retries_age ON generation_plan_retries(created_at);

CREATE TRIGGER generation_credit_transactions_stay_as_they_are BEFORE UPDATE ON generation_credit_transactions
BEGIN
    SELECT RAISE(ABORT, 'movements of credits are only added');
END;
CREATE TRIGGER generation_credit_transactions_stay BEFORE DELETE ON generation_credit_transactions
BEGIN
    SELECT RAISE(ABORT, 'movements of credits are only added');
END;
