-- How many calls each caller has left, which all servers share. Lost with a crash, and whole again after a minute in any case.
CREATE UNLOGGED TABLE generation_rates (
    caller          VARCHAR(80) NOT NULL,         -- such as 'user:7' or 'service:shop'
    class           VARCHAR(10) NOT NULL,         -- of calls: 'read', 'write' or 'admin'
    whole_at        BIGINT NOT NULL,              -- when a minute's calls may come at once again, in microseconds since 1970
    PRIMARY KEY (caller, class)
);
