//! A net below what lets go the jobs of users with a limit, see docs/plans.md#jobs-at-once.

use crate::{app::App, domain::Error, store::queue};

impl App {
    /// Lets go what is held of users who have a free place: whatever should have done it has passed over a job that was locked.
    /// Returns how many such users there were.
    pub async fn release_stranded_jobs(&self) -> Result<usize, Error> {
        let stranded = queue::stranded(self.store.reader()).await?;
        for user in &stranded {
            self.change_jobs(async |_, changed| {
                changed.leave_place(user.user_id, user.concurrency);
                Ok(())
            })
            .await?;
        }
        Ok(stranded.len())
    }
}
