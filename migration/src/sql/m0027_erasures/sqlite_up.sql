-- As on PostgreSQL; all is explained there.
CREATE TABLE generation_erasures (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id         INTEGER,
    account_id      INTEGER NOT NULL,
    removed         TEXT NOT NULL,
    claimed_until   TEXT,
    created_at      TEXT NOT NULL,
    ended_at        TEXT,
    CONSTRAINT ck_generation_erasures_end CHECK ((ended_at IS NULL) = (user_id IS NOT NULL))
);
CREATE UNIQUE INDEX uq_generation_erasures_open ON generation_erasures(user_id) WHERE ended_at IS NULL;

DROP TRIGGER generation_credit_transactions_stay_as_they_are;
CREATE TRIGGER generation_credit_transactions_stay_as_they_are BEFORE UPDATE ON generation_credit_transactions
WHEN NOT (OLD.user_id < 4611686018427387904 AND NEW.user_id >= 4611686018427387904
    AND (NEW.id, NEW.kind, NEW.debited, NEW.credited, NEW.amount, NEW.grant_id, NEW.job_id, NEW.request_id, NEW.reason, NEW.created_at)
        IS (OLD.id, OLD.kind, OLD.debited, OLD.credited, OLD.amount, OLD.grant_id, OLD.job_id, OLD.request_id, OLD.reason, OLD.created_at))
BEGIN
    SELECT RAISE(ABORT, 'movements of credits are only added');
END;

DROP TRIGGER generation_audit_entries_stay_as_they_are;
CREATE TRIGGER generation_audit_entries_stay_as_they_are BEFORE UPDATE ON generation_audit_entries
WHEN NOT (OLD.subject_kind = 'user' AND OLD.subject_id < 4611686018427387904 AND NEW.subject_id >= 4611686018427387904
    AND (NEW.id, NEW.created_at, NEW.actor, NEW.credential, NEW.action, NEW.subject_kind, NEW.detail)
        IS (OLD.id, OLD.created_at, OLD.actor, OLD.credential, OLD.action, OLD.subject_kind, OLD.detail))
BEGIN
    SELECT RAISE(ABORT, 'entries of the audit log are only added');
END;
