//! How much is done, and how often.

use std::time::Duration;

pub(crate) struct Scale {
    /// Rounds in which all take turns, and of which the median counts.
    pub rounds: usize,
    /// How long intake is watched in each round.
    pub window: Duration,
    /// Requests of [`JOBS`](crate::service::JOBS) jobs that a queue holds before it is drained.
    pub requests: usize,
    /// Jobs that are waited for one by one.
    pub singles: usize,
    /// Jobs that are watched while something becomes of them.
    pub watchers: usize,
    /// Streams that are told nothing.
    pub streams: usize,
    /// Jobs that wait in a deep queue.
    pub pending: usize,
}

impl Scale {
    pub(crate) const FULL: Self = Self {
        rounds: 5,
        window: Duration::from_secs(4),
        requests: 200,
        singles: 300,
        watchers: 1_000,
        streams: 10_000,
        pending: 1_000_000,
    };

    pub(crate) const SMALL: Self = Self {
        rounds: 1,
        window: Duration::from_secs(1),
        requests: 2,
        singles: 3,
        watchers: 10,
        streams: 120,
        pending: 2_000,
    };
}
