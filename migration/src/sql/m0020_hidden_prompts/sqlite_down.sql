ALTER TABLE generation_requests DROP COLUMN hides_prompt;
