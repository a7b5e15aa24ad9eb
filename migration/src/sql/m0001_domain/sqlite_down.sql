-- `users` stays: it is not ours. Children go first, because a drop deletes rows and so checks their references.
DROP TABLE generation_media;
DROP TABLE generation_jobs;
DROP TABLE generation_requests;
DROP TABLE generation_templates;
DROP TABLE generation_features;
