-- As on PostgreSQL; the table is explained there.
CREATE TABLE generation_job_answers (
    job_id          INTEGER PRIMARY KEY REFERENCES generation_jobs (id) ON DELETE CASCADE,
    submission_key  TEXT NOT NULL CHECK (length(submission_key) <= 36),
    answer          BLOB NOT NULL
);
