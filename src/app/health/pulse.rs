//! A sign of life: the executor gives it and the health probe looks how old it is.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Shows that the loop which claims jobs still turns.
#[derive(Clone, Debug)]
pub struct Pulse {
    last: Arc<Mutex<Instant>>,
}

impl Pulse {
    /// A pulse that has beaten now.
    pub fn start() -> Self {
        Self {
            last: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Gives the sign: the loop has turned.
    pub fn beat(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// As if the loop had last turned so long ago.
    #[cfg(test)]
    pub(crate) fn beat_before(&self, age: Duration) {
        self.beat();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = last.checked_sub(age).unwrap();
    }

    /// How long ago the loop last turned.
    pub fn age(&self) -> Duration {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }
}
