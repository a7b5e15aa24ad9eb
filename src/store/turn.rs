//! Writing to the embedded file, one after the other: so it is known whether a write waits for others of this process or for
//! the lock of another one.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, sqlx};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::error;

/// From then on a write that waits for the database counts as locked out; it has the file to itself otherwise.
const LONG: Duration = Duration::from_secs(1);

/// Another process writes, or has begun to and does not end.
#[derive(Clone, Debug, thiserror::Error)]
#[error("nothing could be written for {} s", .0.as_secs())]
pub(super) struct LockedOut(Duration);

impl From<LockedOut> for DbErr {
    fn from(locked_out: LockedOut) -> Self {
        let error = sqlx::Error::Io(std::io::Error::other(locked_out));
        Self::Conn(RuntimeErr::SqlxError(Arc::new(error)))
    }
}

/// Gives the one connection that writes to one at a time. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    free: Arc<Semaphore>,
    acquire_timeout: Duration,
    /// Since when whoever has the turn waits for the database; it outlasts waits that were in vain.
    waiting: Arc<Mutex<Option<Instant>>>,
}

impl Turns {
    pub(super) fn new(acquire_timeout: Duration) -> Self {
        Self {
            free: Arc::new(Semaphore::new(1)),
            acquire_timeout,
            waiting: Arc::default(),
        }
    }

    pub(super) async fn take(&self) -> Result<Turn, DbErr> {
        match timeout(self.acquire_timeout, self.free.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn {
                turns: self.clone(),
                _permit: permit,
            }),
            Ok(Err(_)) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
            Err(_) => Err(self.locked_out().map_or(
                DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
                DbErr::from,
            )),
        }
    }

    /// What keeps whoever has the turn, if it is another process.
    pub(super) fn locked_out(&self) -> Option<LockedOut> {
        let waited = self.waiting().map(|since| since.elapsed())?;
        let is_taken = self.free.available_permits() == 0;
        (is_taken && waited >= LONG).then_some(LockedOut(waited))
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Instant>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to write, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    _permit: OwnedSemaphorePermit,
}

impl Turn {
    /// The outcome of what takes the database's lock.
    pub(super) async fn wait<T>(
        &self,
        statement: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        self.turns.waiting().get_or_insert_with(Instant::now);
        let _wait = Wait(&self.turns);
        match statement.await {
            // Only what was given up and still waits for the lock can have the connection.
            Err(error) if error::finds_no_connection(&error) => {
                Err(self.turns.locked_out().map_or(error, DbErr::from))
            }
            Err(error) if error::is_locked(&error) => Err(error),
            outcome => {
                *self.turns.waiting() = None;
                outcome
            }
        }
    }
}

/// A wait that ends, maybe because nobody wants its outcome any more.
struct Wait<'a>(&'a Turns);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.0.waiting().take_if(|since| since.elapsed() < LONG);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn only_who_waits_for_the_database_itself_is_locked_out() {
        let turns = Turns::new(LONG + Duration::from_millis(100));
        let turn = turns.take().await.unwrap();
        let refused = turns.take().await.unwrap_err();
        assert!(error::finds_no_connection(&refused), "{refused:?}");

        tokio::select! {
            ended = turn.wait(pending::<Result<(), DbErr>>()) => panic!("{ended:?}"),
            refused = turns.take() => assert!(matches!(refused, Err(DbErr::Conn(_))), "{refused:?}"),
        }
        drop(turn);
        assert!(turns.locked_out().is_none(), "nobody wants to write");
        let turn = turns.take().await.unwrap();
        turn.wait(async { Ok(()) }).await.unwrap();
        assert!(turns.locked_out().is_none(), "it was heard of");
    }
}
