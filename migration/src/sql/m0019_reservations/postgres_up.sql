-- What Billing holds, takes and gives back for jobs, as far as it has not answered to the last of it yet: an intent before the
-- jobs are stored, and the outbox when they have ended. No row refers to others: one whose job has vanished is given back.
CREATE TABLE generation_reservations (
    job_id          BIGINT PRIMARY KEY,
    reservation_id  VARCHAR(36) NOT NULL,         -- a random UUID, by which Billing knows it
    request_id      BIGINT NOT NULL,
    user_id         BIGINT NOT NULL,
    amount          BIGINT NOT NULL CHECK (amount > 0),
    state           VARCHAR(20) NOT NULL
        CONSTRAINT ck_generation_reservations_state CHECK (state IN ('intended', 'held', 'commit', 'release')),
    is_reserved     BOOLEAN NOT NULL,             -- whether Billing has said that it holds it
    due_at          TIMESTAMP WITH TIME ZONE NOT NULL, -- when Billing is to be told next
    attempts        INTEGER NOT NULL,            -- how often it was told in vain
    last_error      TEXT,                         -- why Billing does not take it; NULL while it has not said so
    created_at      TIMESTAMP WITH TIME ZONE NOT NULL
);
CREATE INDEX idx_generation_reservations_due ON generation_reservations(due_at, job_id);
CREATE INDEX idx_generation_reservations_intended ON generation_reservations(user_id, job_id) WHERE state = 'intended';
CREATE INDEX idx_generation_reservations_unreserved ON generation_reservations(job_id)
    WHERE NOT is_reserved AND state IN ('held', 'commit');
CREATE INDEX idx_generation_reservations_refused ON generation_reservations(job_id) WHERE last_error IS NOT NULL;
