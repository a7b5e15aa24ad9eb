-- As on PostgreSQL; the table is explained there.
CREATE TABLE generation_audit_entries (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at      TEXT NOT NULL,
    actor           TEXT NOT NULL CHECK (length(actor) <= 80),
    credential      TEXT CHECK (length(credential) <= 40),
    action          TEXT NOT NULL CHECK (length(action) <= 40),
    subject_kind    TEXT NOT NULL CHECK (length(subject_kind) <= 20),
    subject_id      INTEGER,
    detail          TEXT NOT NULL CHECK (json_valid(detail))
);
CREATE INDEX idx_generation_audit_entries_time ON generation_audit_entries(created_at DESC, id DESC);
CREATE INDEX idx_generation_audit_entries_actor ON generation_audit_entries(actor, created_at DESC, id DESC);
CREATE INDEX idx_generation_audit_entries_action ON generation_audit_entries(action, created_at DESC, id DESC);
CREATE INDEX idx_generation_audit_entries_subject
    ON generation_audit_entries(subject_kind, subject_id, created_at DESC, id DESC);

CREATE TRIGGER generation_audit_entries_stay_as_they_are BEFORE UPDATE ON generation_audit_entries
BEGIN
    SELECT RAISE(ABORT, 'entries of the audit log are only added');
END;
CREATE TRIGGER generation_audit_entries_stay BEFORE DELETE ON generation_audit_entries
BEGIN
    SELECT RAISE(ABORT, 'entries of the audit log are only added');
END;
