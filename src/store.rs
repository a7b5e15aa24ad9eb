//! Every query of Atelier. A file a table; [`queue`] and [`horizon`] hold the statements that differ between the databases.

pub mod api_key;
pub mod audit;
pub mod backup;
pub mod catalogue;
mod connection;
pub mod credit;
pub mod deletion;
pub mod erasure;
mod error;
pub mod export;
pub mod feature;
mod health;
pub mod horizon;
pub mod idempotency_key;
pub mod installation;
pub mod job;
pub mod job_answer;
pub mod job_event;
mod lender;
pub mod media;
mod one_of;
mod page;
mod patience;
pub mod pause;
pub mod plan;
mod pool;
mod pooled;
mod postgres;
mod private_file;
pub mod queue;
pub mod rate;
pub mod request;
pub mod reservation;
pub mod retention;
pub mod rights;
mod rows;
pub mod search;
pub mod secret;
mod sequence;
pub mod share;
pub mod stored_file;
pub mod tag;
pub mod template;
pub mod template_version;
mod transaction;
pub mod trend;
mod trouble;
mod turn;
pub mod upload;
pub mod user;
pub mod wake_up;
mod words;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr};

pub use connection::{ConnectError, connect, connect_now, connect_to_look};
pub use error::report;
pub use health::{Fault, Writing};
use lender::refused;
pub use page::PageRequest;
pub use patience::patiently;
pub use pool::{Pool, Transaction};
use postgres::Connector;
pub use postgres::unverified_server;
pub use transaction::hurry;
pub use trouble::Trouble;
pub use words::Told;

/// The database: one pool on PostgreSQL; one writer and a pool of readers on SQLite, which knows a single writer only.
#[derive(Clone, Debug)]
pub struct Store {
    writer: Pool,
    reader: Pool,
    /// Opens the connection that hears what others tell.
    listening: Option<Connector>,
    /// When the database last refused a write because its disk is full.
    refused_as_full: Arc<Mutex<Option<Instant>>>,
}

impl Store {
    /// For statements that only read.
    pub fn reader(&self) -> &Pool {
        &self.reader
    }

    /// For single statements that write.
    pub fn writer(&self) -> &Pool {
        &self.writer
    }

    /// How many connections to a PostgreSQL server are in which state, and how many calls wait for one; none of a file.
    pub fn connections(&self) -> Vec<(&'static str, usize)> {
        self.reader.connections()
    }

    /// A connection of its own to hear of what others tell; `None` where nobody tells.
    ///
    /// # Errors
    /// Why there is none; at once while the server is known to be away.
    async fn open_listening(&self) -> Result<Option<DatabaseConnection>, DbErr> {
        let Some(connector) = &self.listening else {
            return Ok(None);
        };
        self.writer.check_reached()?;
        connector.open().await.map(Some).map_err(refused)
    }

    /// How long ago the database last refused a write because its disk is full; `None` if it never did.
    fn full_since(&self) -> Option<Duration> {
        let last = *self
            .refused_as_full
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.map(|last| last.elapsed())
    }

    fn note_full(&self) {
        let mut last = self
            .refused_as_full
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last = Some(Instant::now());
    }

    /// Whether transactions that write wait for each other, whatever they write.
    pub fn has_one_writer(&self) -> bool {
        self.backend() == DbBackend::Sqlite
    }

    /// Which of the two databases it is.
    pub fn backend(&self) -> DbBackend {
        self.writer.get_database_backend()
    }
}
