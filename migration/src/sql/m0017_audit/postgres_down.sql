DROP TABLE generation_audit_entries;
DROP FUNCTION generation_audit_entries_stay();
