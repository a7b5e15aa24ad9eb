-- How a picture is damaged that is shown as far as it goes; null for what is whole, and in rows from before.
ALTER TABLE generation_uploads ADD COLUMN damaged TEXT;
