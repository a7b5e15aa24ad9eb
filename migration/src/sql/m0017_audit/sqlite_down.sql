DROP TABLE generation_audit_entries;
