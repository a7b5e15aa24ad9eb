use crate::{
    domain::{Caller, Error},
    entity::request,
    store::{self, deletion},
};

use super::{App, lock_request::LockedRequest};

impl App {
    /// Brings a request back with exactly what was deleted with it. A live one is returned as it is.
    pub async fn undelete_request(&self, caller: Caller, id: i64) -> Result<request::Model, Error> {
        let LockedRequest { tx, request, jobs } = self.lock_request(caller, id).await?;
        let Some(at) = request.deleted_at else {
            return Ok(request);
        };
        let now = self.clock.now();
        deletion::restore_members(&tx, id, at, now).await?;
        let request = store::request::change(&tx, request, None, now).await?;
        tx.commit().await?;
        self.events.publish(&jobs);
        Ok(request)
    }
}
