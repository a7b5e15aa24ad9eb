//! Each worker lets jobs back into the queue when their pause ends: whoever paused one may be gone by then.

use std::time::Duration;

use crate::store::Trouble;

use super::Executor;

/// Shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(10);

impl Executor {
    /// Looks whenever a pause ends that it knows of, when this process has paused a job, and at the poll interval for what others
    /// have paused.
    pub(super) async fn unpark_loop(&self) {
        let mut trouble = Trouble::new("cannot let jobs go whose pause has ended");
        loop {
            let next = trouble.pass(self.app.unpark_due_jobs().await).flatten();
            let most = self.settings.poll_interval;
            let pause = next.unwrap_or(most).min(most).max(SHORTEST);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.app.events.pause() => {}
            }
        }
    }
}
