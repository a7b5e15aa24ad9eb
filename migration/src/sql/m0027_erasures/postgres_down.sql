DROP TRIGGER generation_audit_entries_stay_as_they_are ON generation_audit_entries;
DROP TRIGGER generation_audit_entries_stay ON generation_audit_entries;
CREATE FUNCTION generation_audit_entries_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entries of the audit log are only added';
END $$;
CREATE TRIGGER generation_audit_entries_stay
    BEFORE UPDATE OR DELETE OR TRUNCATE ON generation_audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION generation_audit_entries_stay();
DROP TRIGGER generation_credit_transactions_stay_as_they_are ON generation_credit_transactions;
DROP TRIGGER generation_credit_transactions_stay ON generation_credit_transactions;
CREATE FUNCTION generation_credit_transactions_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'movements of credits are only added';
END $$;
CREATE TRIGGER generation_credit_transactions_stay
    BEFORE UPDATE OR DELETE OR TRUNCATE ON generation_credit_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION generation_credit_transactions_stay();
DROP FUNCTION generation_only_added();
DROP TABLE generation_erasures;
