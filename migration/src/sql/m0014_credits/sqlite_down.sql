ALTER TABLE generation_jobs DROP COLUMN cost;
