//! The way back for a deleted request and what went along, see docs/domain.md#soft-delete.

use crate::{
    app::App,
    domain::{Caller, Error},
    store::{self, deletion, request::Counted},
};

impl App {
    /// Brings a request back with exactly what was deleted with it. A live one is returned as it is.
    pub async fn undelete_request(&self, caller: Caller, id: i64) -> Result<Counted, Error> {
        self.change_jobs(async |tx, changed| {
            let deletion::LockedRequest { request, jobs } = deletion::lock(tx, caller, id).await?;
            let Some(at) = request.deleted_at else {
                return store::request::count(tx, request).await;
            };
            let now = self.clock.now();
            deletion::restore_members(tx, id, at, now).await?;
            changed.touched(&jobs);
            changed.change_request(tx, request, None, now).await
        })
        .await
    }
}
