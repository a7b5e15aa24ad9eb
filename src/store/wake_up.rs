//! Wake-ups between replicas over PostgreSQL's LISTEN and NOTIFY. They carry ids only; the truth is read from the tables.

use sea_orm::{
    ConnectionTrait, DbBackend, Statement,
    sqlx::{self, postgres::PgListener},
};
use serde::{Deserialize, Serialize};

use crate::domain::{Error, job::Capability};

use super::{Store, Told};

const CHANNEL: &str = "atelier_jobs";
/// PostgreSQL refuses a payload of so many bytes or more.
const MESSAGE_BYTES: usize = 8_000;
/// An id takes 20 bytes at most.
const IDS_PER_MESSAGE: usize = 300;

/// Most kinds of work, and most processes, that a message names.
const MOST_NAMED: usize = 32;

/// What happened on a replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WakeUp {
    /// The process that tells, which so does not hear itself; 0 where an older one does.
    pub origin: u64,
    /// Jobs that changed.
    pub jobs: Vec<i64>,
    /// Requests of which a job changed or is new.
    pub requests: Vec<i64>,
    /// Users of whom a job made a transition, was deleted or is new.
    pub users: Vec<i64>,
    /// Jobs of whose task its service has told something.
    pub tasks: Vec<i64>,
    /// Whether there may be work for an idle worker: of the kinds in `due`, or of any if that is empty.
    pub work: bool,
    /// How many jobs of which kind may begin.
    pub due: Vec<(Capability, u32)>,
    /// The processes whose workers are meant; all if empty.
    pub to: Vec<u64>,
    /// The processes whose workers have passed the work on, since they were full.
    pub passed: Vec<u64>,
    /// Whether operators drain a worker, or do no more: each looks whether it is it.
    pub drains: bool,
    /// What the worker of the process that tells has to offer.
    pub offer: Option<Offer>,
    /// Whether the worker of the process that tells knows of the work, and leaves it to others.
    #[serde(skip)]
    pub leaves: bool,
}

/// What a worker has to offer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// What it runs, which is nothing for a worker that ends; `None`: what it has told last.
    pub able: Option<Vec<Capability>>,
    /// How many jobs it could begin.
    pub free: u32,
}

impl WakeUp {
    /// There may be work of any kind, for all workers.
    pub fn of_any_work() -> Self {
        Self {
            work: true,
            ..Self::default()
        }
    }

    /// Adds what another wake-up tells.
    pub fn merge(&mut self, other: Self) {
        // Work of any kind includes that of some, and all workers include some.
        let any = |it: &Self| it.work && it.due.is_empty();
        let all = |it: &Self| it.work && it.to.is_empty();
        let (is_any, is_all) = (any(self) || any(&other), all(self) || all(&other));
        self.jobs.extend(other.jobs);
        self.requests.extend(other.requests);
        self.users.extend(other.users);
        self.tasks.extend(other.tasks);
        self.due.extend(other.due);
        self.to.extend(other.to);
        if is_any {
            self.due.clear();
        }
        if is_all {
            self.to.clear();
        }
        self.work |= other.work;
        self.leaves |= other.leaves;
        self.drains |= other.drains;
        self.passed.extend(other.passed);
        self.offer = other.offer.or(self.offer.take());
    }

    /// Whether it tells nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds jobs of this kind that may begin.
    pub fn add_due(&mut self, kind: Capability, jobs: u32) {
        self.merge(Self {
            work: true,
            due: vec![(kind, jobs)],
            ..Self::default()
        });
    }

    /// The same in parts that a message holds, each id once; one part at least. The first tells of work.
    fn into_parts(mut self) -> Vec<Self> {
        let mut count = 0;
        for list in Self::LISTS {
            let ids = list(&mut self);
            ids.sort_unstable();
            ids.dedup();
            count += ids.len();
        }
        self.bound_names();
        let fits = |it: &Self| {
            serde_json::to_string(it).is_ok_and(|message| message.len() < MESSAGE_BYTES)
        };
        if count <= IDS_PER_MESSAGE && fits(&self) {
            return vec![self];
        }
        let origin = self.origin;
        let mut ids = Self::default();
        for list in Self::LISTS {
            *list(&mut ids) = std::mem::take(list(&mut self));
        }
        let mut parts = vec![self];
        for list in Self::LISTS {
            for ids in list(&mut ids).chunks(IDS_PER_MESSAGE) {
                let mut part = Self {
                    origin,
                    ..Self::default()
                };
                *list(&mut part) = ids.to_vec();
                parts.push(part);
            }
        }
        parts
    }

    /// Work of too many kinds becomes work of any.
    fn bound_names(&mut self) {
        if self.due.len() > MOST_NAMED || self.to.len() > MOST_NAMED {
            self.due.clear();
            self.to.clear();
        }
        self.passed.truncate(MOST_NAMED);
        if let Some(offer) = &mut self.offer {
            offer
                .able
                .iter_mut()
                .for_each(|able| able.truncate(MOST_NAMED));
        }
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

/// Has the process of this origin hear something from itself.
pub async fn send_echo(store: &Store, origin: u64) -> Result<(), Error> {
    let values = [echo_channel(origin).into()];
    let statement =
        Statement::from_sql_and_values(DbBackend::Postgres, "SELECT pg_notify($1, '')", values);
    store.writer().execute_raw(statement).await?;
    Ok(())
}

/// What only the process of this origin listens to.
fn echo_channel(origin: u64) -> String {
    format!("{CHANNEL}_{origin:016x}")
}

/// Hears what the other replicas tell.
pub struct Listener(PgListener);

/// What a listener hears.
#[derive(Debug)]
pub enum Heard {
    /// What a replica tells; `None` if it says nothing to us.
    WakeUp(Option<WakeUp>),
    /// What this process has sent to itself.
    Echo,
}

impl Listener {
    /// `None` on a database without wake-ups. `origin` is that of this process.
    pub async fn connect(store: &Store, origin: u64) -> Result<Option<Self>, Error> {
        let Some(connection) = store.open_listening().await? else {
            return Ok(None);
        };
        let pool = connection.get_postgres_connection_pool();
        let mut listener = PgListener::connect_with(pool).await.map_err(unavailable)?;
        // The driver would connect again by itself, and tell nothing of why it cannot.
        listener.eager_reconnect(false);
        let channels = [CHANNEL, &echo_channel(origin)];
        listener.listen_all(channels).await.map_err(unavailable)?;
        Ok(Some(Self(listener)))
    }

    /// What is heard next. Nothing is lost if it is dropped.
    ///
    /// # Errors
    /// Of the connection, of which nothing more is heard.
    pub async fn next(&mut self) -> Result<Heard, Error> {
        let Some(notification) = self.0.try_recv().await.map_err(unavailable)? else {
            let closed = "the session was closed by the server, or by what stands before it";
            return Err(Error::DatabaseUnavailable(closed.into()));
        };
        // A payload of a newer release that we do not understand is as good as a missed one.
        Ok(match notification.channel() {
            CHANNEL => Heard::WakeUp(serde_json::from_str(notification.payload()).ok()),
            _ => Heard::Echo,
        })
    }
}

fn unavailable(error: sqlx::Error) -> Error {
    Error::DatabaseUnavailable(Box::new(Told::from(error)))
}

#[cfg(test)]
mod tests {
    use crate::domain::MediaType;

    use super::*;

    #[test]
    fn parts_tell_every_id_once_and_fit_into_a_message() {
        let ids = |first: i64| {
            (0..1_000)
                .map(move |n| first + n / 2 * 2)
                .collect::<Vec<_>>()
        };
        let wake_up = WakeUp {
            origin: u64::MAX,
            jobs: ids(i64::MIN),
            requests: ids(i64::MIN + 1),
            users: ids(1),
            tasks: ids(2),
            work: true,
            ..WakeUp::default()
        };
        let mut told = WakeUp::default();
        let parts = wake_up.into_parts();
        assert_eq!(parts.iter().filter(|part| part.work).count(), 1);
        for part in parts {
            assert_eq!(part.origin, u64::MAX);
            assert!(serde_json::to_string(&part).unwrap().len() < 8_000);
            told.merge(part);
        }
        let told_of = WakeUp::LISTS.map(|list| list(&mut told).len());
        assert_eq!(told_of, [500; 4]);
        assert!(told.jobs.is_sorted_by(|left, right| left < right));
    }

    #[test]
    fn a_message_holds_the_longest_names_and_what_has_too_many_is_of_any_kind() {
        let kinds = |count: usize| {
            let kind = |number| Capability {
                provider: format!("{number:064}"),
                category: MediaType::Image,
            };
            (0..count).map(kind).collect::<Vec<_>>()
        };
        let of = |count| WakeUp {
            origin: u64::MAX,
            work: true,
            due: kinds(count).into_iter().map(|it| (it, u32::MAX)).collect(),
            to: vec![u64::MAX; MOST_NAMED],
            passed: vec![u64::MAX; MOST_NAMED],
            ..WakeUp::default()
        };
        let [message] = &of(MOST_NAMED).into_parts()[..] else {
            panic!("one message")
        };
        assert_eq!(message.due.len(), MOST_NAMED);
        assert!(serde_json::to_string(message).unwrap().len() < 8_000);
        let [message] = &of(MOST_NAMED + 1).into_parts()[..] else {
            panic!("one message")
        };
        assert!(message.work && message.due.is_empty() && message.to.is_empty());
    }

    #[test]
    fn work_of_any_kind_takes_that_of_some_in() {
        let kind = Capability {
            provider: "builtin".to_owned(),
            category: MediaType::Audio,
        };
        let mut some = WakeUp::default();
        some.add_due(kind, 2);
        let any = WakeUp::of_any_work();
        for (mut first, second) in [(some.clone(), any.clone()), (any, some)] {
            first.merge(second);
            assert!(first.work && first.due.is_empty());
        }
    }

    #[test]
    fn a_wake_up_without_ids_still_tells_of_work() {
        let work = WakeUp::of_any_work();
        assert_eq!(work.clone().into_parts(), [work]);
    }

    #[test]
    fn a_message_of_an_older_replica_is_understood() {
        let heard: WakeUp = serde_json::from_str(r#"{"jobs":[7],"work":false}"#).unwrap();
        assert_eq!((heard.jobs, heard.requests), (vec![7], vec![]));
    }
}
