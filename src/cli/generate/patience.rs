//! How long somebody waits for the outcome.

use std::time::Duration;

use tokio::time::Instant;

use super::GenerateError;
use crate::shutdown::{Shutdown, Signal};

/// The time that is given to everything from the first question to the last file.
#[derive(Debug)]
pub(super) struct Patience {
    timeout: Option<Duration>,
    begun: Instant,
    shutdown: Shutdown,
}

impl Patience {
    /// Starts the clock; without a timeout only a signal ends the waiting.
    pub(super) fn begin(timeout: Option<Duration>, shutdown: Shutdown) -> Self {
        Self {
            timeout,
            begun: Instant::now(),
            shutdown,
        }
    }

    /// Ends when nobody waits for the outcome any more, and says why.
    pub(super) async fn ends(&self) -> GenerateError {
        let timed_out = async {
            match self.timeout {
                Some(timeout) => {
                    tokio::time::sleep(timeout.saturating_sub(self.begun.elapsed())).await;
                    GenerateError::TimedOut(timeout)
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            error = timed_out => error,
            () = self.shutdown.soft().cancelled() => interrupted(&self.shutdown),
        }
    }
}

/// The signal that came.
pub(super) fn interrupted(shutdown: &Shutdown) -> GenerateError {
    GenerateError::Interrupted(shutdown.signal().unwrap_or(Signal::Interrupt))
}
