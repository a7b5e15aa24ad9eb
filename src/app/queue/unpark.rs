//! Jobs whose pause ends come back into the queue, and workers hear of them, see docs/domain.md#the-queue.

use std::time::Duration;

use crate::{app::App, domain::Error, store::queue};

impl App {
    /// Lets all jobs back into the queue whose pauses have ended, and wakes the workers for them. Returns how long until the next
    /// pause ends; `None` if there is none. Any number of processes may do so.
    pub async fn unpark_due_jobs(&self) -> Result<Option<Duration>, Error> {
        let now = self.clock.queue();
        loop {
            let next = queue::next_due(self.store.reader(), now).await?;
            if next != Some(Duration::ZERO) {
                return Ok(next);
            }
            if queue::unpark_due(self.store.writer(), now).await? == 0 {
                // Another lets them go right now.
                return Ok(next);
            }
            self.wake_workers();
        }
    }
}
