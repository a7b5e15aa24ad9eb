//! The end of previews, which nobody deletes himself, see docs/domain.md#previews.

use chrono::TimeDelta;

use crate::{
    app::App,
    domain::{Caller, Error},
    store::{self, queue},
};

const LIFETIME: TimeDelta = TimeDelta::hours(1);
/// Most that are hidden at once.
const BATCH: u64 = 100;

impl App {
    /// Deletes previews that are an hour old, but not those that the catalogue is shown by. Any number of replicas may do so.
    pub async fn hide_previews(&self) -> Result<(), Error> {
        let now = queue::time(self.store.reader(), self.clock.queue()).await?;
        let before = now - LIFETIME;
        let old = store::request::old_previews(self.store.reader(), before, BATCH).await?;
        for id in old {
            self.delete_request(Caller::TrustedService, id, "").await?;
        }
        Ok(())
    }
}
