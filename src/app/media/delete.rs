//! Deletion of one media row; the file stays in the storage, see docs/domain.md#soft-delete.

use crate::{
    app::App,
    domain::{Caller, Error},
    store,
};

impl App {
    /// Hides one media row. One that is deleted already is returned as it is.
    pub async fn delete_media(
        &self,
        caller: Caller,
        id: i64,
    ) -> Result<store::media::Shown, Error> {
        self.store
            .write(async |tx| {
                let found = store::media::find(tx, caller, id).await?;
                // Its own deletion waits for this one, and so sees its time and takes another.
                store::request::lock(tx, found.request_id).await?;
                store::media::delete(tx, id, self.clock.now()).await?;
                store::media::find(tx, caller, id).await
            })
            .await
    }
}
