-- As on PostgreSQL; the column is explained there.

ALTER TABLE generation_jobs ADD COLUMN cost INTEGER;
