//! How many calls callers have left, see docs/identity.md#how-often.

use std::time::Duration;

use crate::{
    app::App,
    domain::Error,
    store::rate::{self, Counted},
};

/// What a caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// So many calls, one at least.
    Calls(u32),
    /// None before that time has passed.
    NoneFor(Duration),
}

impl App {
    /// Takes so many calls from what a caller has left, or one if there are not so many.
    pub async fn take_calls(&self, counted: Counted<'_>, calls: u32) -> Result<Allowance, Error> {
        let (db, now) = (self.store.writer(), self.clock.queue());
        let mut wait = Duration::ZERO;
        for calls in [calls, 1] {
            match rate::take(db, counted, calls, now).await? {
                None => return Ok(Allowance::Calls(calls)),
                Some(left) => wait = left,
            }
            if wait > Duration::ZERO {
                break;
            }
        }
        Ok(Allowance::NoneFor(wait))
    }

    /// Forgets callers who have all their calls again.
    pub async fn forget_calls(&self) -> Result<(), Error> {
        rate::forget(self.store.writer(), self.clock.queue()).await
    }
}
