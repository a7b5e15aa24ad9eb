-- Whether the user is kept from what the template says. Requests of before were made when all users were.
ALTER TABLE generation_requests ADD COLUMN hides_prompt BOOLEAN NOT NULL DEFAULT TRUE;
