-- Only PostgreSQL chooses an index by what it thinks of the rows; here each query names its own.
SELECT 1;
