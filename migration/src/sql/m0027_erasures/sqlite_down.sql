DROP TRIGGER generation_audit_entries_stay_as_they_are;
CREATE TRIGGER generation_audit_entries_stay_as_they_are BEFORE UPDATE ON generation_audit_entries
BEGIN
    SELECT RAISE(ABORT, 'entries of the audit log are only added');
END;
DROP TRIGGER generation_credit_transactions_stay_as_they_are;
CREATE TRIGGER generation_credit_transactions_stay_as_they_are BEFORE UPDATE ON generation_credit_transactions
BEGIN
    SELECT RAISE(ABORT, 'movements of credits are only added');
END;
DROP TABLE generation_erasures;
