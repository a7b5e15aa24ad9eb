//! A connection while it is in use.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sea_orm::{DatabaseConnection, DbErr};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{Lender, ReadOnly, closed, outage::Outage};
use crate::store::{error, turn::Turn};

/// A connection in use, which goes back when it is dropped.
#[derive(Debug)]
pub(in crate::store) struct Lent {
    pub(in crate::store) db: DatabaseConnection,
    lender: Option<Lender>,
    read_only: ReadOnly,
    turn: Option<Turn>,
    /// Among those who only read.
    place: Option<OwnedSemaphorePermit>,
    /// It is of no use to anyone else.
    spent: AtomicBool,
}

impl Lent {
    /// One that nobody else waits for, other than for the turn.
    pub(in crate::store) fn freely(db: DatabaseConnection, turn: Option<Turn>) -> Self {
        Self {
            db,
            lender: None,
            read_only: None,
            turn,
            place: None,
            spent: AtomicBool::new(false),
        }
    }

    /// One that goes back to its lender.
    pub(super) fn of(lender: Lender, db: DatabaseConnection, read_only: ReadOnly) -> Self {
        Self {
            db,
            lender: Some(lender),
            read_only,
            turn: None,
            place: None,
            spent: AtomicBool::new(false),
        }
    }

    /// The same for somebody who only reads, and keeps his place until it is back.
    pub(super) fn in_place(mut self, place: OwnedSemaphorePermit) -> Self {
        self.place = Some(place);
        self
    }

    /// What is said at the beginning of each transaction, where sessions do not last longer than one.
    pub(in crate::store) fn set_up(&self) -> Option<Arc<str>> {
        self.lender.as_ref().and_then(Lender::set_up)
    }

    /// The outcome of a statement that is, or begins, a transaction.
    pub(in crate::store) async fn first_answer<T>(
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
    pub(in crate::store) async fn answer<T>(
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
            lender.0.take_in(self.db.clone(), self.read_only);
        }
    }
}
