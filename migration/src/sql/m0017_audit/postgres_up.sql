-- Who has changed what all see: features and templates, credits, keys. Entries are only added, in the transaction of the change;
-- the trigger below refuses everything else. No row refers to others, so that none goes with them.
CREATE TABLE generation_audit_entries (
    id              BIGSERIAL PRIMARY KEY,
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL,
    actor           VARCHAR(80) NOT NULL,         -- as idempotency keys know a client, or 'operator' or 'local'
    credential      VARCHAR(40),                  -- how he has shown who he is, such as 'api_key:7'
    action          VARCHAR(40) NOT NULL,         -- one of a vocabulary that grows
    subject_kind    VARCHAR(20) NOT NULL,
    subject_id      BIGINT,                       -- none of the catalogue as a whole
    detail          JSONB NOT NULL
);
CREATE INDEX idx_generation_audit_entries_time ON generation_audit_entries(created_at DESC, id DESC);
CREATE INDEX idx_generation_audit_entries_actor ON generation_audit_entries(actor, created_at DESC, id DESC);
CREATE INDEX idx_generation_audit_entries_action ON generation_audit_entries(action, created_at DESC, id DESC);
CREATE INDEX idx_generation_audit_entries_subject
    ON generation_audit_entries(subject_kind, subject_id, created_at DESC, id DESC);

CREATE FUNCTION generation_audit_entries_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entries of the audit log are only added';
END $$;
CREATE TRIGGER generation_audit_entries_stay
    BEFORE UPDATE OR DELETE OR TRUNCATE ON generation_audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION generation_audit_entries_stay();
