//! Wake-ups between replicas over PostgreSQL's LISTEN and NOTIFY. They carry ids only; the truth is read from the tables.

use sea_orm::{
    ConnectionTrait, DbBackend, Statement,
    sqlx::{self, postgres::PgListener},
};
use serde::{Deserialize, Serialize};

use crate::domain::Error;

use super::{Store, Told};

const CHANNEL: &str = "atelier_jobs";
/// PostgreSQL refuses a payload of 8,000 bytes or more; an id takes 20 at most.
const IDS_PER_MESSAGE: usize = 300;

/// What happened on a replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WakeUp {
    /// Jobs that changed.
    pub jobs: Vec<i64>,
    /// Requests of which a job changed or is new.
    pub requests: Vec<i64>,
    /// Users of whom a job made a transition, was deleted or is new.
    pub users: Vec<i64>,
    /// Jobs of whose task its service has told something.
    pub tasks: Vec<i64>,
    /// Whether there may be work for an idle worker.
    pub work: bool,
}

impl WakeUp {
    /// Adds what another wake-up tells.
    pub fn merge(&mut self, other: Self) {
        self.jobs.extend(other.jobs);
        self.requests.extend(other.requests);
        self.users.extend(other.users);
        self.tasks.extend(other.tasks);
        self.work |= other.work;
    }

    /// The same in parts that a message holds, each id once; one part at least.
    fn into_parts(mut self) -> Vec<Self> {
        let mut count = 0;
        for list in Self::LISTS {
            let ids = list(&mut self);
            ids.sort_unstable();
            ids.dedup();
            count += ids.len();
        }
        if count <= IDS_PER_MESSAGE {
            return vec![self];
        }
        let mut parts = Vec::new();
        for list in Self::LISTS {
            for ids in std::mem::take(list(&mut self)).chunks(IDS_PER_MESSAGE) {
                let mut part = Self {
                    work: self.work,
                    ..Self::default()
                };
                *list(&mut part) = ids.to_vec();
                parts.push(part);
            }
        }
        parts
    }

    const LISTS: [fn(&mut Self) -> &mut Vec<i64>; 4] = [
        |it| &mut it.jobs,
        |it| &mut it.requests,
        |it| &mut it.users,
        |it| &mut it.tasks,
    ];
}

/// Tells the other replicas. On SQLite there are none to tell: processes that share a file find changes by polling.
pub async fn send(store: &Store, wake_up: WakeUp) -> Result<(), Error> {
    if store.backend() != DbBackend::Postgres {
        return Ok(());
    }
    for part in wake_up.into_parts() {
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
        let connection = store.writer().open_another().await?;
        let pool = connection.get_postgres_connection_pool();
        let mut listener = PgListener::connect_with(pool).await.map_err(unavailable)?;
        // The driver would connect again by itself, and tell nothing of why it cannot.
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await.map_err(unavailable)?;
        Ok(Some(Self(listener)))
    }

    /// The next wake-up; `None` for one that says nothing to us.
    ///
    /// # Errors
    /// Of the connection, of which nothing more is heard.
    pub async fn next(&mut self) -> Result<Option<WakeUp>, Error> {
        let Some(notification) = self.0.try_recv().await.map_err(unavailable)? else {
            let closed = "the session was closed by the server, or by what stands before it";
            return Err(Error::DatabaseUnavailable(closed.into()));
        };
        // A payload of a newer release that we do not understand is as good as a missed one.
        Ok(serde_json::from_str(notification.payload()).ok())
    }
}

fn unavailable(error: sqlx::Error) -> Error {
    Error::DatabaseUnavailable(Box::new(Told::from(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_tell_every_id_once_and_fit_into_a_message() {
        let ids = |first: i64| {
            (0..1_000)
                .map(move |n| first + n / 2 * 2)
                .collect::<Vec<_>>()
        };
        let wake_up = WakeUp {
            jobs: ids(i64::MIN),
            requests: ids(i64::MIN + 1),
            users: ids(1),
            tasks: ids(2),
            work: true,
        };
        let mut told = WakeUp::default();
        for part in wake_up.into_parts() {
            assert!(part.work);
            assert!(serde_json::to_string(&part).unwrap().len() < 8_000);
            told.merge(part);
        }
        let told_of = WakeUp::LISTS.map(|list| list(&mut told).len());
        assert_eq!(told_of, [500; 4]);
        assert!(told.jobs.is_sorted_by(|left, right| left < right));
    }

    #[test]
    fn a_wake_up_without_ids_still_tells_of_work() {
        let work = WakeUp {
            work: true,
            ..WakeUp::default()
        };
        assert_eq!(work.clone().into_parts(), [work]);
    }

    #[test]
    fn a_message_of_an_older_replica_is_understood() {
        let heard: WakeUp = serde_json::from_str(r#"{"jobs":[7],"work":false}"#).unwrap();
        assert_eq!((heard.jobs, heard.requests), (vec![7], vec![]));
    }
}
