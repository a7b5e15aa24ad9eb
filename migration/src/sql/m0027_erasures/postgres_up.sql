-- What erasures of users have removed, see docs/privacy.md. While one goes on it knows whose account it makes; nobody does
-- when it has ended.
CREATE TABLE generation_erasures (
    id              BIGSERIAL PRIMARY KEY,
    user_id         BIGINT,                       -- null from its end on
    account_id      BIGINT NOT NULL,              -- under which the ledger and the audit log have what they keep
    removed         JSONB NOT NULL,               -- how much, by kind
    claimed_until   TIMESTAMP WITH TIME ZONE,     -- whoever carries it out is to have said that he goes on
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at        TIMESTAMP WITH TIME ZONE,
    CONSTRAINT ck_generation_erasures_end CHECK ((ended_at IS NULL) = (user_id IS NOT NULL))
);
CREATE UNIQUE INDEX uq_generation_erasures_open ON generation_erasures(user_id) WHERE ended_at IS NULL;

-- The ledger and the audit log are only added to. But a user who is erased leaves them: his number becomes that of an account
-- of nobody's, from 2^62 on, and nothing else changes.
CREATE FUNCTION generation_only_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF COALESCE(to_jsonb(OLD) ->> 'subject_kind', 'user') = 'user'
            AND (to_jsonb(OLD) ->> TG_ARGV[0])::bigint < 4611686018427387904
            AND (to_jsonb(NEW) ->> TG_ARGV[0])::bigint >= 4611686018427387904
            AND to_jsonb(OLD) - TG_ARGV[0] = to_jsonb(NEW) - TG_ARGV[0]
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '%', TG_ARGV[1];
END $$;

DROP TRIGGER generation_credit_transactions_stay ON generation_credit_transactions;
DROP FUNCTION generation_credit_transactions_stay();
CREATE TRIGGER generation_credit_transactions_stay
    BEFORE DELETE OR TRUNCATE ON generation_credit_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION generation_only_added('user_id', 'movements of credits are only added');
CREATE TRIGGER generation_credit_transactions_stay_as_they_are
    BEFORE UPDATE ON generation_credit_transactions
    FOR EACH ROW EXECUTE FUNCTION generation_only_added('user_id', 'movements of credits are only added');

DROP TRIGGER generation_audit_entries_stay ON generation_audit_entries;
DROP FUNCTION generation_audit_entries_stay();
CREATE TRIGGER generation_audit_entries_stay
    BEFORE DELETE OR TRUNCATE ON generation_audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION generation_only_added('subject_id', 'entries of the audit log are only added');
CREATE TRIGGER generation_audit_entries_stay_as_they_are
    BEFORE UPDATE ON generation_audit_entries
    FOR EACH ROW EXECUTE FUNCTION generation_only_added('subject_id', 'entries of the audit log are only added');
