-- By what the caller knows the call that made the job; logged wherever the job is.
ALTER TABLE generation_jobs ADD COLUMN x_request_id TEXT;
ALTER TABLE generation_jobs ADD COLUMN traceparent TEXT;
