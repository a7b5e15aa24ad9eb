//! Which media the catalogue may be shown by, see docs/domain.md#previews.

use crate::{
    app::App,
    domain::{Caller, Checks, Error, Flaw},
    store,
};

impl App {
    /// Notes that the media may not be published: only what the installation's own user has made is no user's.
    pub(in crate::app) async fn check_preview(
        &self,
        media_id: Option<i64>,
        checks: &mut Checks,
    ) -> Result<(), Error> {
        const FIELD: &str = "preview_media_id";
        let Some(id) = media_id else {
            return Ok(());
        };
        let Some(user) = self.settings.system_user else {
            let expected = "must be left out: the server has no system user";
            checks.add(FIELD, Flaw::NotSupported.says(expected));
            return Ok(());
        };
        let expected = || {
            let expected = format!("must be a live media of the system user, {user}, got {id}");
            Flaw::NotPermitted.says(expected).found(id)
        };
        checks.require(self.is_live_media_of(user, id).await?, FIELD, expected);
        Ok(())
    }

    pub(super) async fn is_live_media_of(&self, user: i64, id: i64) -> Result<bool, Error> {
        let db = self.store.reader();
        match store::media::find_live(db, Caller::User(user), id).await {
            Err(Error::NotFound { .. }) => Ok(false),
            found => found.map(|_| true),
        }
    }
}
