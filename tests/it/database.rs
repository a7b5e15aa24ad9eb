//! The database below the service: its schema, its age, its rights, its failures.

mod clock;
mod connections;
mod content;
pub(crate) mod faults;
mod listening;
mod multixacts;
mod page_indexes;
mod plans;
mod pooler;
mod queue;
mod retention;
pub(crate) mod schema;
mod sqlite_file;
mod statements;
mod tls;
mod upgrades;
mod uploads;
mod urls;
mod users;
mod watchers;
mod writing;
