-- Which installation this database is, in its one row. The same stands in a marker object of the media storage, so that
-- nobody removes what another database knows, or what this one has forgotten since it was restored from a backup.
CREATE TABLE generation_installation (
    singleton       INTEGER PRIMARY KEY CONSTRAINT ck_generation_installation_singleton CHECK (singleton = 1),
    id              VARCHAR(36) NOT NULL,
    counter         BIGINT NOT NULL               -- counts the looks for objects to remove
);
