//! Troubles after which whoever meets them tries again.

use crate::domain::Error;

use super::report;

/// A trouble that may last: it is logged when it begins and when it is over, not each time that it is met.
#[derive(Debug)]
pub struct Trouble {
    what: &'static str,
    times: u32,
}

impl Trouble {
    /// `what` is what fails, in words for the log.
    pub const fn new(what: &'static str) -> Self {
        Self { what, times: 0 }
    }

    /// It is there, or still there.
    pub fn meet(&mut self, error: &Error) {
        if self.times == 0 {
            report(error, self.what);
        }
        // That one was told of by others, and so is its end.
        if !error.is_known_outage() {
            self.times = self.times.saturating_add(1);
        }
    }

    /// What failed has been done.
    pub fn end(&mut self) {
        let times = std::mem::take(&mut self.times);
        if times > 0 {
            tracing::info!(times, "{}: this is over", self.what);
        }
    }

    /// What was done, if it was.
    pub fn pass<T>(&mut self, outcome: Result<T, Error>) -> Option<T> {
        match outcome {
            Ok(done) => {
                self.end();
                Some(done)
            }
            Err(error) => {
                self.meet(&error);
                None
            }
        }
    }
}
