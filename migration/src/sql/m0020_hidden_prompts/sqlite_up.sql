-- As on PostgreSQL; the column is explained there.
ALTER TABLE generation_requests ADD COLUMN hides_prompt BOOLEAN NOT NULL DEFAULT TRUE;
