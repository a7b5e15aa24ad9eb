-- Nothing: JSONB is checked by its type. The migration is SQLite's.
SELECT 1;
