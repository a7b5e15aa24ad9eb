//! An operator's word that a storage is this database's, where the two do not show it themselves.

use uuid::Uuid;

use crate::{
    app::App,
    domain::{Error, Installation},
    store,
};

impl App {
    /// Makes the storage this database's, whatever was there before, and takes it from every other.
    ///
    /// # Errors
    /// When the database or the storage does not answer.
    pub async fn adopt_storage(&self) -> Result<Installation, Error> {
        self.storage.begin_anew()?;
        let before = self.storage.installation().await?;
        let adopted = self.store.write(async |tx| {
            let known = store::installation::find(tx).await?;
            let now = store::queue::time(tx, self.clock.queue()).await?;
            let counters = known.iter().chain(&before).map(|found| found.counter);
            let adopted = Installation {
                id: Uuid::new_v4().to_string(),
                counter: counters.max().unwrap_or_default() + 1,
                adopted_at: Some(now),
            };
            store::installation::set(tx, &adopted).await?;
            // Before the commit: a storage that cannot be marked leaves the database what it was.
            self.storage.mark(&adopted).await?;
            Ok(adopted)
        });
        adopted.await
    }
}
