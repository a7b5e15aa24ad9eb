-- The checks as they were.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (properties IS NULL OR json_valid(properties))', 'CHECK (json_valid(properties))')
    WHERE type = 'table' AND name = 'generation_features';
UPDATE sqlite_schema SET sql = replace(replace(sql,
        'CHECK (input_metadata IS NULL OR json_valid(input_metadata))', 'CHECK (json_valid(input_metadata))'),
        'CHECK (metadata IS NULL OR json_valid(metadata))', 'CHECK (json_valid(metadata))')
    WHERE type = 'table' AND name = 'generation_requests';
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (output_metadata IS NULL OR json_valid(output_metadata))', 'CHECK (json_valid(output_metadata))')
    WHERE type = 'table' AND name = 'generation_jobs';
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (metadata IS NULL OR json_valid(metadata))', 'CHECK (json_valid(metadata))')
    WHERE type = 'table' AND name = 'generation_media';
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (detail IS NULL OR json_valid(detail))', 'CHECK (json_valid(detail))')
    WHERE type = 'table' AND name = 'generation_job_events';
PRAGMA writable_schema = RESET;
-- A change of the schema by its own means, so that every connection reads it again.
CREATE TABLE generation_reread (id INTEGER PRIMARY KEY);
DROP TABLE generation_reread;
