//! How a PostgreSQL is set up that is measured: that of the tests would lose what it was told last. It has
//! a quarter of 16 GB for its buffers, as is usual for a server of its own.

pub(crate) const DURABLE: &str = "fsync = on
synchronous_commit = on
full_page_writes = on
shared_buffers = '4GB'
max_wal_size = '4GB'
max_connections = 200";
