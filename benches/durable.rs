//! How a PostgreSQL is set up that is measured: that of the tests would lose what it was told last.

pub(crate) const DURABLE: &str = "fsync = on
synchronous_commit = on
full_page_writes = on
shared_buffers = '512MB'
max_wal_size = '4GB'
max_connections = 200";
