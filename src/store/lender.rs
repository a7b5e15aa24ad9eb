//! Lends connections to a PostgreSQL server. More of them are opened beside the waiting, not instead of it: who waits gets the
//! first one that is free, also where the server, or a pooler before it, gives fewer than we want. While the server is known
//! to be away nobody waits at all.

mod lent;
mod outage;

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sea_orm::{ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbErr, RuntimeErr, sqlx};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::config::DatabaseConfig;

pub(super) use lent::Lent;

use outage::{Outage, look_after};

use super::{postgres::Connector, words::Told};

/// How many connections are opened at once when many are asked for.
const OPENED_AT_ONCE: usize = 4;
/// How long nothing more is asked of a server that has refused another connection.
const SCARCITY: Duration = Duration::from_secs(5);
/// How often who waits looks whether more connections can be had.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A connection that was not used for so long is tried before it is lent: it may have been cut meanwhile.
const TRIED_AFTER: Duration = Duration::from_secs(5);
/// How long a server that nothing was heard of may take to answer before it counts as away.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// Of so many connections one is kept from those who only read, and one at least: leases are renewed and jobs end however many
/// lists and watches are asked for.
const RESERVED_OF: usize = 4;
/// How long closing waits for connections that are lent.
const CLOSE_TIME: Duration = Duration::from_secs(5);
/// Finds a row in a session that takes no writes.
const IS_READ_ONLY: &str = "SELECT 1 WHERE current_setting('transaction_read_only') = 'on'";

/// Lends connections to a PostgreSQL server. Clones share them.
#[derive(Clone)]
pub(in crate::store) struct Lender(Arc<Inner>);

struct Inner {
    connector: Connector,
    /// How many connections we want at most.
    most: usize,
    acquire_timeout: Duration,
    state: Mutex<State>,
    /// As many permits as connections are idle.
    idle: Semaphore,
    /// As many permits as connections may be lent for reading alone.
    for_reading: Arc<Semaphore>,
    outage: watch::Sender<Option<Outage>>,
}

struct State {
    idle: VecDeque<Idle>,
    /// Connections that there are, idle or lent.
    open: usize,
    opening: usize,
    /// None could be opened while there is none: those under way decide whether the server is away, and no further ones.
    failing: bool,
    waiting: usize,
    /// The server refused another connection: none is asked for until then, and this is why.
    scarce: Option<(Instant, String)>,
    /// When the server was last heard of.
    heard: Instant,
    /// Connections that were not used since then are tried before they are lent.
    distrusted: Instant,
    closed: bool,
}

struct Idle {
    db: DatabaseConnection,
    used: Instant,
    read_only: ReadOnly,
}

/// When the session began, if the server took no writes then: the session will not either, whatever the server takes by now.
type ReadOnly = Option<Instant>;

fn closed() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)
}

pub(super) fn refused(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}

impl std::fmt::Debug for Lender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Lender").finish_non_exhaustive()
    }
}

impl Inner {
    /// A panic cannot leave the state half changed, so a poisoned lock is as good as any.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the next one have this connection.
    fn take_in(&self, db: DatabaseConnection, read_only: ReadOnly) {
        let used = Instant::now();
        self.state().idle.push_back(Idle {
            db,
            used,
            read_only,
        });
        self.idle.add_permits(1);
    }
}

impl Lender {
    /// Lends connections that `connector` opens, and looks after a server that nothing is heard of.
    pub(super) fn new(connector: Connector, config: &DatabaseConfig) -> Self {
        let now = Instant::now();
        let most = usize::try_from(config.max_connections).unwrap_or(usize::MAX);
        let for_reading = most.saturating_sub((most / RESERVED_OF).max(1)).max(1);
        let inner = Arc::new(Inner {
            connector,
            most,
            acquire_timeout: config.acquire_timeout,
            state: Mutex::new(State {
                idle: VecDeque::new(),
                open: 0,
                opening: 0,
                failing: false,
                waiting: 0,
                scarce: None,
                heard: now,
                distrusted: now,
                closed: false,
            }),
            idle: Semaphore::new(0),
            for_reading: Arc::new(Semaphore::new(for_reading.min(Semaphore::MAX_PERMITS))),
            outage: watch::Sender::new(None),
        });
        tokio::spawn(look_after(Arc::downgrade(&inner)));
        Self(inner)
    }

    pub(super) fn connections(&self) -> Vec<(&'static str, usize)> {
        let state = self.0.state();
        let idle = state.idle.len();
        vec![
            ("idle", idle),
            ("used", state.open.saturating_sub(idle)),
            ("wanted", state.waiting),
        ]
    }

    /// Lends to whoever writes.
    pub(super) async fn lend(&self) -> Result<Lent, DbErr> {
        let deadline = Instant::now() + self.0.acquire_timeout;
        self.lend_by(deadline, true).await
    }

    /// Lends to whoever only reads, and leaves some to those who write.
    pub(super) async fn lend_for_reading(&self) -> Result<Lent, DbErr> {
        let deadline = Instant::now() + self.0.acquire_timeout;
        let place = self.place_for_reading(deadline).await?;
        let lent = self.lend_by(deadline, false).await?;
        Ok(lent.in_place(place))
    }

    async fn place_for_reading(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, DbErr> {
        let mut outage = self.0.outage.subscribe();
        tokio::select! {
            biased;
            place = self.0.for_reading.clone().acquire_owned() => place.map_err(|_| closed()),
            Ok(outage) = outage.wait_for(Option::is_some) => {
                Err(outage.as_ref().map_or_else(closed, Outage::refusal))
            }
            () = sleep_until(deadline) => Err(Waiting::new(&self.0).in_vain()),
        }
    }

    async fn lend_by(&self, deadline: Instant, writes: bool) -> Result<Lent, DbErr> {
        let asked = Instant::now();
        loop {
            let idle = self.next_idle(deadline).await?;
            // One that begins from now on tells what the server takes now.
            let is_outdated = writes && idle.read_only.is_some_and(|began| began < asked);
            if !is_outdated && self.is_fit(&idle).await {
                return Ok(Lent::of(self.clone(), idle.db, idle.read_only));
            }
            self.lose();
        }
    }

    /// A connection apart from those that are lent.
    pub(super) async fn open_another(&self) -> Result<DatabaseConnection, DbErr> {
        self.check_reached()?;
        self.0.connector.open().await.map_err(refused)
    }

    /// Fails while the server is known to be away.
    pub(super) fn check_reached(&self) -> Result<(), DbErr> {
        let outage = self.0.outage.borrow();
        outage
            .as_ref()
            .map_or(Ok(()), |outage| Err(outage.refusal()))
    }

    /// What is said at the beginning of each transaction, where sessions do not last longer than one.
    pub(super) fn set_up(&self) -> Option<Arc<str>> {
        self.0.connector.transaction_set_up()
    }

    /// Whether the server says anything, over a connection of its own.
    pub(super) async fn reach(&self) -> Result<(), DbErr> {
        self.0.connector.reach(ANSWER_TIME).await.map_err(refused)
    }

    /// The first idle connection that comes; at once an error if the server is away.
    async fn next_idle(&self, deadline: Instant) -> Result<Idle, DbErr> {
        let mut outage = self.0.outage.subscribe();
        let waiting = Waiting::new(&self.0);
        // One place in the queue for the whole time.
        let mut permit = pin!(self.0.idle.acquire());
        loop {
            if let Some(outage) = outage.borrow_and_update().as_ref() {
                return Err(outage.refusal());
            }
            if self.0.state().closed {
                return Err(closed());
            }
            self.open_more();
            tokio::select! {
                biased;
                permit = &mut permit => {
                    permit.map(SemaphorePermit::forget).map_err(|_| closed())?;
                    // The one that was used last: it has planned most of what we ask.
                    return self.0.state().idle.pop_back().ok_or_else(closed);
                }
                _ = outage.changed() => {}
                () = sleep_until(deadline) => return Err(waiting.in_vain()),
                () = sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Whether the connection is still there.
    async fn is_fit(&self, idle: &Idle) -> bool {
        let distrusted = self.0.state().distrusted;
        if idle.db.get_postgres_connection_pool().size() == 0 {
            return false;
        }
        if idle.used > distrusted && idle.used.elapsed() < TRIED_AFTER {
            return true;
        }
        let tried = timeout(ANSWER_TIME, idle.db.execute_unprepared("SELECT 1")).await;
        matches!(tried, Ok(Ok(_)))
    }

    /// A connection is gone.
    fn lose(&self) {
        let mut state = self.0.state();
        state.open = state.open.saturating_sub(1);
        drop(state);
        self.open_more();
    }

    /// Opens more connections in the background if more are waited for than there are.
    fn open_more(&self) {
        let mut state = self.0.state();
        let room = state.open + state.opening < self.0.most && state.opening < OPENED_AT_ONCE;
        let wanted = state.waiting > state.opening + self.0.idle.available_permits();
        let scarce =
            state.open > 0 && matches!(&state.scarce, Some((until, _)) if Instant::now() < *until);
        let away = state.failing || self.0.outage.borrow().is_some();
        if room && wanted && !scarce && !away && !state.closed {
            state.opening += 1;
            tokio::spawn(self.clone().open());
        }
    }

    /// Asks a session that has just begun. Behind a pooler there are others at each transaction.
    async fn takes_no_writes(&self, db: &DatabaseConnection) -> ReadOnly {
        if self.set_up().is_some() {
            return None;
        }
        let began = Instant::now();
        let asked = timeout(ANSWER_TIME, db.execute_unprepared(IS_READ_ONLY)).await;
        let is_read_only = matches!(asked, Ok(Ok(told)) if told.rows_affected() == 1);
        is_read_only.then_some(began)
    }

    async fn open(self) {
        let opened = self.0.connector.open().await;
        let read_only = match &opened {
            Ok(db) => self.takes_no_writes(db).await,
            Err(_) => None,
        };
        let mut state = self.0.state();
        state.opening -= 1;
        let failed = match opened {
            Ok(db) => {
                drop(state);
                self.receive(db, read_only);
                return;
            }
            Err(failed) => failed,
        };
        let cause = Told::from(failed).to_string();
        if state.open == 0 {
            state.failing = state.opening > 0;
            let away = !state.failing;
            drop(state);
            if away {
                self.begin_outage(cause);
            }
        } else {
            let (open, wanted) = (state.open, self.0.most);
            let until = Instant::now() + SCARCITY;
            if state.scarce.replace((until, cause.clone())).is_none() {
                tracing::warn!(
                    open,
                    wanted,
                    cause,
                    "cannot open more connections to the database"
                );
            }
        }
    }

    /// One more connection.
    fn receive(&self, db: DatabaseConnection, read_only: ReadOnly) {
        let mut state = self.0.state();
        if state.closed {
            return;
        }
        state.open += 1;
        state.failing = false;
        state.heard = Instant::now();
        // Others may have been refused at the same moment, and more may be wanted.
        let enough = state.waiting <= 1;
        let over = |scarce: &mut (Instant, String)| Instant::now() >= scarce.0;
        if enough && state.scarce.take_if(over).is_some() {
            tracing::info!(
                open = state.open,
                "the database gives enough connections again"
            );
        }
        drop(state);
        self.0.take_in(db, read_only);
        self.open_more();
    }

    fn take_idle(&self) -> Option<Idle> {
        self.0.idle.try_acquire().ok()?.forget();
        self.0.state().idle.pop_front()
    }

    /// Closes the connections; what is lent goes first, if it comes back soon.
    pub(super) async fn close(&self) {
        self.0.state().closed = true;
        let closing = async {
            loop {
                let idle = self.0.state().idle.pop_front();
                if let Some(idle) = idle {
                    let _ = idle.db.close_by_ref().await;
                    self.lose();
                } else if self.0.state().open == 0 {
                    return;
                } else if let Ok(permit) = self.0.idle.acquire().await {
                    permit.forget();
                }
            }
        };
        if timeout(CLOSE_TIME, closing).await.is_err() {
            tracing::debug!("left connections behind that are still used");
        }
    }
}

/// Counts among those who wait for a connection, for as long as it lives.
struct Waiting<'a>(&'a Inner);

impl<'a> Waiting<'a> {
    fn new(inner: &'a Inner) -> Self {
        inner.state().waiting += 1;
        Self(inner)
    }

    /// Why no connection came.
    fn in_vain(&self) -> DbErr {
        let state = self.0.state();
        let open = state.open;
        let why = match &state.scarce {
            Some((_, cause)) => format!("there are {open}, and the server gives no more: {cause}"),
            None => format!("there are {open}, and all are in use"),
        };
        DbErr::Conn(RuntimeErr::Internal(format!(
            "waited for a connection in vain: {why}"
        )))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}
