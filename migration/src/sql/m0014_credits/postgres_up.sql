-- Credits that the job takes, as its feature said when the job was made; null for one from before this was kept.
ALTER TABLE generation_jobs ADD COLUMN cost BIGINT;
