ALTER TABLE generation_jobs DROP COLUMN traceparent;
ALTER TABLE generation_jobs DROP COLUMN x_request_id;
