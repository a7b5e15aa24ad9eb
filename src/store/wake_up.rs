//! Wake-ups between replicas over PostgreSQL's LISTEN and NOTIFY. They carry ids only; the truth is read from the tables.

use sea_orm::{
    ConnectionTrait, DbBackend, Statement,
    sqlx::{self, postgres::PgListener},
};
use serde::{Deserialize, Serialize};

use crate::domain::Error;

use super::Store;

const CHANNEL: &str = "atelier_jobs";
/// PostgreSQL refuses a payload of 8,000 bytes or more; an id takes 20 at most.
const IDS_PER_MESSAGE: usize = 300;

/// What happened on another replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WakeUp {
    /// Jobs that changed.
    pub jobs: Vec<i64>,
    /// Whether there may be work for an idle worker.
    pub work: bool,
}

/// Tells the other replicas. On SQLite there are none to tell: processes that share a file find changes by polling.
pub async fn send(store: &Store, wake_up: &WakeUp) -> Result<(), Error> {
    if store.backend() != DbBackend::Postgres {
        return Ok(());
    }
    let mut chunks: Vec<&[i64]> = wake_up.jobs.chunks(IDS_PER_MESSAGE).collect();
    if chunks.is_empty() {
        chunks.push(&[]);
    }
    for jobs in chunks {
        let part = WakeUp {
            jobs: jobs.to_vec(),
            work: wake_up.work,
        };
        let payload = serde_json::to_string(&part).map_err(Error::internal)?;
        let values = [CHANNEL.into(), payload.into()];
        let statement =
            Statement::from_sql_and_values(DbBackend::Postgres, "SELECT pg_notify($1, $2)", values);
        store.writer().execute_raw(statement).await?;
    }
    Ok(())
}

/// Hears what the other replicas tell.
pub struct Listener(PgListener);

impl Listener {
    /// `None` on a database without wake-ups.
    pub async fn connect(store: &Store) -> Result<Option<Self>, Error> {
        if store.backend() != DbBackend::Postgres {
            return Ok(None);
        }
        let pool = store.writer().get_postgres_connection_pool();
        let mut listener = PgListener::connect_with(pool).await.map_err(unavailable)?;
        listener.listen(CHANNEL).await.map_err(unavailable)?;
        Ok(Some(Self(listener)))
    }

    /// The next wake-up; `None` if the connection broke and was made again, so that some may have been missed.
    pub async fn next(&mut self) -> Result<Option<WakeUp>, Error> {
        let Some(notification) = self.0.try_recv().await.map_err(unavailable)? else {
            return Ok(None);
        };
        // A payload of a newer release that we do not understand is as good as a missed one.
        Ok(serde_json::from_str(notification.payload()).ok())
    }
}

fn unavailable(error: sqlx::Error) -> Error {
    Error::DatabaseUnavailable(Box::new(error))
}
