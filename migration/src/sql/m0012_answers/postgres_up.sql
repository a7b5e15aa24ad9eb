-- What a service has told of a task that it cannot be asked for, until the job's attempt has read it: whoever takes the call
-- need not be the process that runs the job, and that may be gone for a while.
CREATE TABLE generation_job_answers (
    job_id          BIGINT PRIMARY KEY REFERENCES generation_jobs (id) ON DELETE CASCADE,
    submission_key  VARCHAR(36) NOT NULL,         -- the submission whose task it tells of
    answer          BYTEA NOT NULL                -- as it came
);
