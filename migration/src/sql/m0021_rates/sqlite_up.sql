-- As on PostgreSQL; the table is explained there.
CREATE TABLE generation_rates (
    caller          TEXT NOT NULL CHECK (length(caller) <= 80),
    class           TEXT NOT NULL CHECK (length(class) <= 10),
    whole_at        INTEGER NOT NULL,
    PRIMARY KEY (caller, class)
);
