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
        let found = store::media::find_live(self.store.reader(), Caller::User(user), id).await;
        match found {
            Err(Error::NotFound { .. }) => {
                let expected = format!("must be a live media of the system user, {user}, got {id}");
                checks.add(FIELD, Flaw::NotPermitted.says(expected).found(id));
                Ok(())
            }
            found => found.map(|_| ()),
        }
    }
}
