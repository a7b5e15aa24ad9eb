//! The way back for a deleted media row, as long as its request is live, see docs/domain.md#soft-delete.

use crate::{
    app::App,
    domain::{Caller, Error},
    store,
};

impl App {
    /// Shows one deleted media row again. A live one is returned as it is.
    pub async fn undelete_media(
        &self,
        caller: Caller,
        id: i64,
    ) -> Result<store::media::Shown, Error> {
        self.store
            .write(async |tx| {
                let found = store::media::find(tx, caller, id).await?;
                // So that the request is not deleted meanwhile and leaves this row behind.
                let request = store::request::lock(tx, found.request_id).await?;
                let deleted = store::media::find(tx, caller, id).await?.deleted_at;
                if deleted.is_some() && request.deleted_at.is_some() {
                    return Err(Error::RequestDeleted(request.id));
                }
                store::media::undelete(tx, id, self.clock.now()).await?;
                store::media::find(tx, caller, id).await
            })
            .await
    }
}
