-- As on PostgreSQL; the table is explained there.
CREATE TABLE generation_installation (
    singleton       INTEGER PRIMARY KEY CONSTRAINT ck_generation_installation_singleton CHECK (singleton = 1),
    id              TEXT NOT NULL CHECK (length(id) <= 36),
    counter         BIGINT NOT NULL
);
