//! The end of a link.

use crate::{
    app::App,
    domain::{Caller, Error},
    entity::share::Model,
    store,
};

impl App {
    /// Ends a link for good. One that has ended so is returned as it is.
    pub async fn unshare_media(&self, caller: Caller, id: i64) -> Result<Model, Error> {
        self.store
            .write(async |tx| {
                let share = store::share::find(tx, caller, id).await?;
                if share.revoked_at.is_some() {
                    return Ok(share);
                }
                store::share::revoke(tx, id, self.clock.now()).await?;
                store::share::find(tx, caller, id).await
            })
            .await
    }
}
