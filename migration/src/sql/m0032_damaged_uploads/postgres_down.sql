ALTER TABLE generation_uploads DROP COLUMN damaged;
