-- A heartbeat changes no index: it writes the lease's end and the progress, which none has among its columns or in its condition,
-- so that PostgreSQL keeps the row's new version beside the old one and has no index to tell of it (a HOT update).
-- Jobs with an expired lease are looked for among those that run, which are few.
DROP INDEX idx_generation_jobs_lease;
CREATE INDEX idx_generation_jobs_running ON generation_jobs(id) WHERE status = 'processing';
-- Room for the new version: a quarter of a page is as much as a row has at most, since longer values stand elsewhere. Pages that
-- are there already stay as they are.
ALTER TABLE generation_jobs SET (fillfactor = 75);
