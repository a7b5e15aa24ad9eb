-- `users` stays: it is not ours. No CASCADE, so that what others built on these tables is not dropped unasked.
DROP TABLE generation_media;
DROP TABLE generation_jobs;
DROP TABLE generation_requests;
DROP TABLE generation_templates;
DROP TABLE generation_features;
DROP TYPE generation_job_status_enum;
DROP TYPE generation_media_type_enum;
