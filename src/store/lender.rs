//! Lends connections to a PostgreSQL server. More of them are opened beside the waiting, not instead of it: who waits gets the
//! first one that is free, also where the server, or a pooler before it, gives fewer than we want. While the server is known
//! to be away nobody waits at all.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sea_orm::{ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbErr, RuntimeErr, sqlx};
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{config::DatabaseConfig, domain::KnownOutage};

use super::{error, postgres::Connector, turn::Turn, words::Told};

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
/// Pauses between tries to reach a server that is away.
const PROBE_PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];
/// How long closing waits for connections that are lent.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// A connection in use, which goes back when it is dropped.
#[derive(Debug)]
pub(super) struct Lent {
    pub(super) db: DatabaseConnection,
    lender: Option<Lender>,
    turn: Option<Turn>,
    /// It is of no use to anyone else.
    spent: AtomicBool,
}

impl Lent {
    /// One that nobody else waits for, other than for the turn.
    pub(super) fn freely(db: DatabaseConnection, turn: Option<Turn>) -> Self {
        Self {
            db,
            lender: None,
            turn,
            spent: AtomicBool::new(false),
        }
    }

    /// The outcome of a statement that is, or begins, a transaction.
    pub(super) async fn first_answer<T>(
        &self,
        statement: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        match &self.turn {
            Some(turn) => turn.wait(statement).await,
            None => self.answer(statement).await,
        }
    }

    /// The outcome of a statement on this connection: at once an error if the server turns out to be away meanwhile, since its
    /// answer may never come.
    pub(super) async fn answer<T>(
        &self,
        statement: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        let Some(lender) = &self.lender else {
            return statement.await;
        };
        let mut outage = lender.0.outage.subscribe();
        let outcome = tokio::select! {
            biased;
            outcome = statement => outcome,
            Ok(outage) = outage.wait_for(Option::is_some) => Err(outage.as_ref().map_or_else(closed, Outage::refusal)),
        };
        match &outcome {
            Err(error) if error::breaks_connection(error) => {
                self.spent.store(true, Ordering::Relaxed);
                lender.0.state().distrusted = Instant::now();
            }
            _ => lender.0.state().heard = Instant::now(),
        }
        outcome
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(lender) = self.lender.take() else {
            return;
        };
        if self.spent.load(Ordering::Relaxed) {
            // Marks it, so that it is closed as soon as nobody uses it.
            drop(self.db.get_postgres_connection_pool().close());
            lender.lose();
        } else {
            lender.0.take_in(self.db.clone());
        }
    }
}

/// Lends connections to a PostgreSQL server. Clones share them.
#[derive(Clone)]
pub(super) struct Lender(Arc<Inner>);

struct Inner {
    connector: Connector,
    /// How many connections we want at most.
    most: usize,
    acquire_timeout: Duration,
    state: Mutex<State>,
    /// As many permits as connections are idle.
    idle: Semaphore,
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
}

/// A server that cannot be reached.
#[derive(Clone, Debug)]
struct Outage {
    cause: String,
}

impl Outage {
    fn refusal(&self) -> DbErr {
        let known = KnownOutage(self.cause.clone());
        refused(sqlx::Error::Io(std::io::Error::other(known)))
    }
}

fn closed() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)
}

fn refused(error: sqlx::Error) -> DbErr {
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
    fn take_in(&self, db: DatabaseConnection) {
        let used = Instant::now();
        self.state().idle.push_back(Idle { db, used });
        self.idle.add_permits(1);
    }
}

impl Lender {
    /// Lends connections that `connector` opens, and looks after a server that nothing is heard of.
    pub(super) fn new(connector: Connector, config: &DatabaseConfig) -> Self {
        let now = Instant::now();
        let inner = Arc::new(Inner {
            connector,
            most: usize::try_from(config.max_connections).unwrap_or(usize::MAX),
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
            outage: watch::Sender::new(None),
        });
        tokio::spawn(look_after(Arc::downgrade(&inner)));
        Self(inner)
    }

    pub(super) async fn lend(&self) -> Result<Lent, DbErr> {
        let deadline = Instant::now() + self.0.acquire_timeout;
        loop {
            let idle = self.next_idle(deadline).await?;
            if self.is_fit(&idle).await {
                return Ok(Lent {
                    db: idle.db,
                    lender: Some(self.clone()),
                    turn: None,
                    spent: AtomicBool::new(false),
                });
            }
            self.lose();
        }
    }

    /// A connection apart from those that are lent.
    pub(super) async fn open_another(&self) -> Result<DatabaseConnection, DbErr> {
        if let Some(outage) = self.0.outage.borrow().as_ref() {
            return Err(outage.refusal());
        }
        self.0.connector.open().await.map_err(refused)
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
                    return self.0.state().idle.pop_front().ok_or_else(closed);
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

    async fn open(self) {
        let opened = self.0.connector.open().await;
        let mut state = self.0.state();
        state.opening -= 1;
        let failed = match opened {
            Ok(db) => {
                drop(state);
                self.receive(db);
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
    fn receive(&self, db: DatabaseConnection) {
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
        self.0.take_in(db);
        self.open_more();
    }

    /// From now on nobody waits for the server, until it is back.
    fn begin_outage(&self, cause: String) {
        let begun = self.0.outage.send_if_modified(|outage| {
            let begun = outage.is_none();
            outage.get_or_insert_with(|| Outage {
                cause: cause.clone(),
            });
            begun
        });
        if begun && !self.0.state().closed {
            tracing::warn!(cause, "the database is away");
            tokio::spawn(probe(Arc::downgrade(&self.0)));
        }
    }

    /// Asks a server that nothing was heard of for a while: over a connection that is idle, and should no answer come, or none
    /// be idle, over a new one. A server that has no room for that one says so, and is there.
    async fn look(&self) {
        let silent = {
            let state = self.0.state();
            !state.closed && state.open > 0 && state.heard.elapsed() >= ANSWER_TIME
        };
        if !silent || self.0.outage.borrow().is_some() {
            return;
        }
        if let Some(idle) = self.take_idle() {
            let asked = timeout(ANSWER_TIME, idle.db.execute_unprepared("SELECT 1")).await;
            if matches!(asked, Ok(Ok(_))) {
                self.0.state().heard = Instant::now();
                self.0.take_in(idle.db);
                return;
            }
            self.0.state().distrusted = Instant::now();
            self.lose();
        }
        match self.0.connector.reach(ANSWER_TIME).await {
            Ok(()) => self.0.state().heard = Instant::now(),
            Err(silence) => self.begin_outage(Told::from(silence).to_string()),
        }
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

/// Until the lender is gone.
async fn look_after(lender: Weak<Inner>) {
    loop {
        sleep(LOOK_AGAIN).await;
        match lender.upgrade() {
            Some(inner) => Lender(inner).look().await,
            None => return,
        }
    }
}

/// Tries to reach a server that is away, and ends the outage.
async fn probe(lender: Weak<Inner>) {
    let began = Instant::now();
    let mut pauses = PROBE_PAUSES.into_iter();
    let mut pause = PROBE_PAUSES[0];
    loop {
        pause = pauses.next().unwrap_or(pause);
        sleep(pause).await;
        let Some(lender) = lender.upgrade().map(Lender) else {
            return;
        };
        if lender.0.state().closed {
            return;
        }
        if let Ok(db) = lender.0.connector.open().await {
            tracing::info!(away = ?began.elapsed(), "the database is back");
            lender.0.outage.send_replace(None);
            lender.receive(db);
            return;
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
