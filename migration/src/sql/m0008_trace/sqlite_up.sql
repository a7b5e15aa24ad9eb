-- As on PostgreSQL; the columns are explained there.

ALTER TABLE generation_jobs ADD COLUMN x_request_id TEXT;
ALTER TABLE generation_jobs ADD COLUMN traceparent TEXT;
