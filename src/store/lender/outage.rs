//! How it is found that the server is away, and that it is back.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use sea_orm::{ConnectionTrait, DbErr, sqlx};
use tokio::time::{Instant, sleep, timeout};

use super::{ANSWER_TIME, Inner, LOOK_AGAIN, Lender, refused};
use crate::{domain::KnownOutage, store::words::Told};

/// Pauses between tries to reach a server that is away.
const PROBE_PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];

/// A server that cannot be reached.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    cause: String,
}

impl Outage {
    pub(super) fn refusal(&self) -> DbErr {
        let known = KnownOutage(self.cause.clone());
        refused(sqlx::Error::Io(std::io::Error::other(known)))
    }
}

impl Lender {
    /// From now on nobody waits for the server, until it is back.
    pub(super) fn begin_outage(&self, cause: String) {
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
                self.0.take_in(idle.db, idle.read_only);
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
}

/// Until the lender is gone.
pub(super) async fn look_after(lender: Weak<Inner>) {
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
            let read_only = lender.takes_no_writes(&db).await;
            lender.0.outage.send_replace(None);
            lender.receive(db, read_only);
            return;
        }
    }
}
