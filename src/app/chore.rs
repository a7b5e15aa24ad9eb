//! What any process can do and one is enough for: whose turn it is stands in the database, as for what is kept no longer.

use std::time::Duration;

use chrono::TimeDelta;
use uuid::Uuid;

use crate::{
    app::App,
    domain::Error,
    store::{self, queue},
};

/// Whoever is silent for so long with its turn is lost.
const LEASE: Duration = Duration::from_secs(120);

/// What one process at a time does for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chore {
    /// Lists the storage, and removes what no record names.
    SweepStorage,
    /// Folds uses and views, and weighs anew what decays.
    FoldTrends,
    /// Fails the jobs that no worker can run.
    FailUnclaimed,
}

impl Chore {
    /// Its name among the steps in the table.
    fn name(self) -> &'static str {
        match self {
            Self::SweepStorage => "sweep storage",
            Self::FoldTrends => "fold trends",
            Self::FailUnclaimed => "fail unclaimed",
        }
    }
}

impl App {
    /// Does the work, unless another process does it now or has ended it within `pause`: `None` then. One that fails has had its
    /// turn.
    ///
    /// # Errors
    /// Those of the work, or of the database.
    pub async fn in_turn<T>(
        &self,
        chore: Chore,
        pause: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, Error> {
        let db = self.store.writer();
        let holder = Uuid::new_v4().to_string();
        let now = queue::time(db, self.clock.queue()).await?;
        let until = now + time_delta(LEASE.max(pause));
        // A little less than the pause, since processes differ.
        let since = now - time_delta(pause.mul_f32(0.9));
        let (name, times) = (chore.name(), (now, until));
        if !store::retention::take_turn(db, name, &holder, times, Some(since)).await? {
            return Ok(None);
        }
        let done = work.await;
        let now = queue::time(db, self.clock.queue()).await?;
        let error = done.as_ref().err().map(|_| "FAILED");
        store::retention::end_turn(db, name, &holder, now, (0, error)).await?;
        done.map(Some)
    }
}

fn time_delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
