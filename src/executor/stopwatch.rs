//! Measures an attempt against its time-out. A storage that is away is not the provider's fault, so waiting for it does
//! not count.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

/// The time that counts against an attempt: all but that in which it waits for the storage.
pub(super) struct Stopwatch(watch::Sender<Reading>);

#[derive(Clone, Copy)]
struct Reading {
    /// What had passed when it last stood still.
    before: Duration,
    /// Since when it runs; `None` while it stands still.
    running: Option<Instant>,
}

/// Has the stopwatch stand still until it is dropped.
pub(super) struct Standstill<'a>(&'a Stopwatch);

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self(watch::Sender::new(Reading {
            before: Duration::ZERO,
            running: Some(Instant::now()),
        }))
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.0.borrow().elapsed()
    }

    pub(super) fn stand_still(&self) -> Standstill<'_> {
        self.0.send_modify(|reading| {
            *reading = Reading {
                before: reading.elapsed(),
                running: None,
            };
        });
        Standstill(self)
    }

    /// Waits until so much time has counted.
    pub(super) async fn reaches(&self, limit: Duration) {
        let mut readings = self.0.subscribe();
        loop {
            let reading = *readings.borrow_and_update();
            let left = limit.saturating_sub(reading.elapsed());
            let changed = readings.changed();
            if reading.running.is_none() {
                let _ = changed.await;
            } else if timeout(left, changed).await.is_err() {
                return;
            }
        }
    }
}

impl Reading {
    fn elapsed(self) -> Duration {
        let running = self.running.map(|since| since.elapsed());
        self.before + running.unwrap_or_default()
    }
}

impl Drop for Standstill<'_> {
    fn drop(&mut self) {
        self.0
            .0
            .send_modify(|reading| reading.running = Some(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn the_time_of_a_standstill_does_not_count() {
        let watch = Stopwatch::start();
        let standstill = watch.stand_still();
        let counted = watch.elapsed();
        assert!(timeout(LIMIT * 2, watch.reaches(LIMIT)).await.is_err());
        assert_eq!(watch.elapsed(), counted);
        drop(standstill);
        watch.reaches(LIMIT).await;
        assert!(watch.elapsed() >= LIMIT);
    }
}
