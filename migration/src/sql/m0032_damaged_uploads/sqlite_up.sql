-- As on PostgreSQL; all is explained there.
ALTER TABLE generation_uploads ADD COLUMN damaged TEXT;
