//! Now, for the use cases. Tests move it by hand; otherwise leases and pauses go by the database's clock and not by
//! this one.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::{
    domain::Error,
    store::{Transaction, queue},
};

use super::App;

impl App {
    /// Now, for what all replicas compare, such as when a request was changed or deleted: their own clocks may differ.
    pub(super) async fn moment(&self, tx: &Transaction) -> Result<DateTime<Utc>, Error> {
        queue::moment(tx, self.clock.now(), self.clock.queue()).await
    }
}

/// Where the time comes from. Times have microseconds, which is what both databases keep.
#[derive(Clone, Debug)]
pub struct Clock {
    manual: Option<Arc<Mutex<DateTime<Utc>>>>,
}

impl Clock {
    /// The computer's clock.
    pub fn system() -> Self {
        Self { manual: None }
    }

    /// A clock that stands still until it is moved, for tests of leases and pauses.
    pub fn manual(start: DateTime<Utc>) -> Self {
        let start = Mutex::new(start.trunc_subsecs(6));
        Self {
            manual: Some(Arc::new(start)),
        }
    }

    /// The time of the computer's clock, or of the manual one.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the computer"
    )]
    pub fn now(&self) -> DateTime<Utc> {
        self.set_time().unwrap_or_else(Utc::now).trunc_subsecs(6)
    }

    /// What the queue's statements take for now: nothing, so that the database's clock counts, unless the clock is set by
    /// hand.
    pub fn queue(&self) -> Option<DateTime<Utc>> {
        self.set_time()
    }

    /// Moves a manual clock; the computer's cannot be moved.
    pub fn advance(&self, by: TimeDelta) {
        if let Some(time) = &self.manual {
            *time.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }

    fn set_time(&self) -> Option<DateTime<Utc>> {
        self.manual
            .as_ref()
            .map(|time| *time.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
