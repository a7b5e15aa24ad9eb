//! A net below what lets go the jobs of users with a limit, see docs/plans.md#jobs-at-once.

use crate::{app::App, domain::Error, store::queue};

impl App {
    /// Lets go what is held of users of whom nothing runs: whatever should have done it has passed over a job that was locked.
    /// Returns how many such users there were.
    pub async fn release_stranded_jobs(&self) -> Result<usize, Error> {
        let stranded = queue::stranded(self.store.reader()).await?;
        for user_id in &stranded {
            self.change_jobs(async |_, changed| {
                // The end of the one that begins lets go as many as may run.
                changed.leave_place(*user_id, 1);
                Ok(())
            })
            .await?;
        }
        Ok(stranded.len())
    }
}
