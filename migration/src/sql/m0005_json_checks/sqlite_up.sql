-- `json_valid(NULL)` is 0 before SQLite 3.41, so that a dump which an older sqlite3 restores would lose every row with an
-- empty JSON column. Only the wording of the checks changes, nothing of what is stored: so the tables are not rebuilt but
-- their definitions written anew, as SQLite's documentation of ALTER TABLE describes (section 7).
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (json_valid(properties))', 'CHECK (properties IS NULL OR json_valid(properties))')
    WHERE type = 'table' AND name = 'generation_features';
UPDATE sqlite_schema SET sql = replace(replace(sql,
        'CHECK (json_valid(input_metadata))', 'CHECK (input_metadata IS NULL OR json_valid(input_metadata))'),
        'CHECK (json_valid(metadata))', 'CHECK (metadata IS NULL OR json_valid(metadata))')
    WHERE type = 'table' AND name = 'generation_requests';
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (json_valid(output_metadata))', 'CHECK (output_metadata IS NULL OR json_valid(output_metadata))')
    WHERE type = 'table' AND name = 'generation_jobs';
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (json_valid(metadata))', 'CHECK (metadata IS NULL OR json_valid(metadata))')
    WHERE type = 'table' AND name = 'generation_media';
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (json_valid(detail))', 'CHECK (detail IS NULL OR json_valid(detail))')
    WHERE type = 'table' AND name = 'generation_job_events';
PRAGMA writable_schema = RESET;
-- A change of the schema by its own means, so that every connection reads it again.
CREATE TABLE generation_reread (id INTEGER PRIMARY KEY);
DROP TABLE generation_reread;
