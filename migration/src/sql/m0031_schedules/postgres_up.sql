-- When the jobs of a request may start, see docs/domain.md#schedules; null: at any time.
ALTER TABLE generation_requests
    ADD COLUMN not_before       TIMESTAMP WITH TIME ZONE,
    ADD COLUMN start_deadline   TIMESTAMP WITH TIME ZONE;
-- The request's; a retry has none.
ALTER TABLE generation_jobs ADD COLUMN start_deadline TIMESTAMP WITH TIME ZONE;
-- What has not begun in time is found here. Jobs without a deadline are not in it.
CREATE INDEX idx_generation_jobs_start_deadline ON generation_jobs(start_deadline)
    WHERE start_deadline IS NOT NULL AND started_at IS NULL AND status = 'pending' AND deleted_at IS NULL;
