DROP TABLE generation_job_answers;
