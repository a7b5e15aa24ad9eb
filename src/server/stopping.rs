//! The stages of a stop: work drains, then what still runs is handed back and the port closes.

use std::{pin::pin, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// The end of the grace that is kept for handing attempts back and closing the port, at most, and as a part of the grace.
const LONGEST_RESERVE: Duration = Duration::from_secs(5);
const RESERVED_PART: u32 = 4;

/// What the parts of a server look at, each token cancelled after the one before. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Stages {
    /// Health says that the server stops, and no job is taken up any more.
    pub(super) draining: CancellationToken,
    /// Attempts that still run are handed back.
    pub(super) handing_back: CancellationToken,
    /// The port closes: streams end, and connections are told to go away.
    pub(super) closing: CancellationToken,
}

/// How long the stages take, all counted from the beginning of the stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long the port stays open at least.
    pub(super) delay: Duration,
    /// How long attempts may go on.
    pub(super) work: Duration,
    /// After so long everything is cut off.
    pub(super) grace: Duration,
}

impl Pace {
    /// Attempts go on until the grace is nearly over.
    pub(super) fn graceful(delay: Duration, grace: Duration) -> Self {
        let work = grace.saturating_sub(reserve(grace));
        Self { delay, work, grace }
    }

    /// Attempts are handed back at once.
    pub(super) fn prompt(grace: Duration) -> Self {
        let (delay, work) = (Duration::ZERO, Duration::ZERO);
        Self { delay, work, grace }
    }
}

/// How long a provider gets to stop; the rest of the reserve is for recording how the attempts ended.
pub(super) fn stopping_time(grace: Duration) -> Duration {
    reserve(grace).mul_f64(0.8)
}

fn reserve(grace: Duration) -> Duration {
    (grace / RESERVED_PART).min(LONGEST_RESERVE)
}

impl Stages {
    /// Goes through the stages until both parts have ended. The port stays open while attempts may still end by themselves,
    /// so that their watchers hear of it.
    pub(super) async fn pass<A, E>(
        &self,
        pace: Pace,
        api: Option<&mut JoinHandle<A>>,
        executor: Option<&mut JoinHandle<E>>,
    ) {
        self.draining.cancel();
        let mut working = pin!(ended(executor));
        let (worked, ()) = tokio::join!(timeout(pace.work, &mut working), sleep(pace.delay));
        self.cancel();
        if worked.is_err() {
            working.await;
        }
        ended(api).await;
    }

    /// Skips to the last stage.
    pub(super) fn cancel(&self) {
        self.draining.cancel();
        self.handing_back.cancel();
        self.closing.cancel();
    }
}

/// Waits for the end of a task. One that has ended by itself has been waited for already.
async fn ended<T>(task: Option<&mut JoinHandle<T>>) {
    if let Some(task) = task.filter(|task| !task.is_finished()) {
        let _ = task.await;
    }
}
