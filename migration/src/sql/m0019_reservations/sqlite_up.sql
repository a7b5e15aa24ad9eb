-- As on PostgreSQL; the table is explained there.
CREATE TABLE generation_reservations (
    job_id          INTEGER PRIMARY KEY,
    reservation_id  TEXT NOT NULL CHECK (length(reservation_id) <= 36),
    request_id      INTEGER NOT NULL,
    user_id         INTEGER NOT NULL,
    amount          INTEGER NOT NULL CHECK (amount > 0),
    state           TEXT NOT NULL
        CONSTRAINT ck_generation_reservations_state CHECK (state IN ('intended', 'held', 'commit', 'release')),
    is_reserved     BOOLEAN NOT NULL,
    due_at          TEXT NOT NULL,
    attempts        INTEGER NOT NULL,
    last_error      TEXT,
    created_at      TEXT NOT NULL
);
CREATE INDEX idx_generation_reservations_due ON generation_reservations(due_at, job_id);
CREATE INDEX idx_generation_reservations_intended ON generation_reservations(user_id, job_id) WHERE state = 'intended';
CREATE INDEX idx_generation_reservations_unreserved ON generation_reservations(job_id)
    WHERE NOT is_reserved AND state IN ('held', 'commit');
CREATE INDEX idx_generation_reservations_refused ON generation_reservations(job_id) WHERE last_error IS NOT NULL;
