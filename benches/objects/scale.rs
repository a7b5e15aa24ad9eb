//! How much is done, and how often.

use std::time::{Duration, Instant};

pub(crate) struct Scale {
    /// Rounds in which all take turns, and of which the median counts.
    pub rounds: usize,
    /// Bytes of a large file.
    pub large: usize,
    /// So many times fewer calls than for the full measure.
    pub fewer: usize,
    /// Seconds of sound in a file that is uploaded, at 176,400 bytes each.
    pub sound: usize,
    /// Jobs that are to be purged.
    pub jobs: u64,
    /// How long intake is watched in each round, without a purge and with one.
    pub window: Duration,
}

impl Scale {
    pub(crate) const FULL: Self = Self {
        rounds: 5,
        large: 256 << 20,
        fewer: 1,
        sound: 380,
        jobs: 500_000,
        window: Duration::from_secs(10),
    };

    pub(crate) const SMALL: Self = Self {
        rounds: 1,
        large: 4 << 20,
        fewer: 100,
        sound: 2,
        jobs: 5_000,
        window: Duration::from_millis(300),
    };
}

/// How many seconds the work takes.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (f64, T) {
    let begin = Instant::now();
    let outcome = work.await;
    (begin.elapsed().as_secs_f64(), outcome)
}
