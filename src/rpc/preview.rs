//! The media that features and templates are shown by, with links that are signed as they are read.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    app::App,
    domain::{Caller, Error, RetentionStep, View},
    store,
};

use super::{media, proto, retention::purge_time, time::told};

/// What may have a preview.
pub(super) trait Shown {
    fn media_id(&self) -> Option<i64>;
    fn show(&mut self, media: Option<proto::Media>);
    /// Says when it is removed for good, if it is deleted.
    fn purge(&mut self, app: &App);
}

macro_rules! shown {
    ($($message:ty: $step:expr),+) => {$(
        impl Shown for $message {
            fn media_id(&self) -> Option<i64> {
                self.preview_media_id
            }

            fn show(&mut self, media: Option<proto::Media>) {
                self.preview_media = media;
            }

            fn purge(&mut self, app: &App) {
                let deleted_at = self.delete_time.and_then(told);
                self.purge_time = purge_time(app, $step, deleted_at);
            }
        }
    )+};
}

shown!(
    proto::Feature: RetentionStep::PurgeFeatures,
    proto::Template: RetentionStep::PurgeTemplates
);

/// The messages with their previews and when they are removed, all read in one statement; those that are deleted are absent. Who may be shown the
/// catalogue may be shown these, in every view what an end user sees.
pub(super) async fn with_previews<M: Shown>(
    app: &App,
    mut messages: Vec<M>,
) -> Result<Vec<M>, Error> {
    for message in &mut messages {
        message.purge(app);
    }
    let ids: BTreeSet<i64> = messages.iter().filter_map(M::media_id).collect();
    if ids.is_empty() {
        return Ok(messages);
    }
    let found = store::media::find_all(app.store.reader(), Caller::TrustedService, ids).await?;
    let live = found.into_iter().filter(|media| media.deleted_at.is_none());
    let media = media::messages(app, live.collect(), View::User).await?;
    let media: BTreeMap<i64, _> = media.into_iter().map(|it| (it.id, it)).collect();
    for message in &mut messages {
        let preview = message.media_id().and_then(|id| media.get(&id).cloned());
        message.show(preview);
    }
    Ok(messages)
}

/// The message with its preview.
pub(super) async fn with_preview<M: Shown>(app: &App, message: M) -> Result<Option<M>, Error> {
    Ok(with_previews(app, vec![message]).await?.pop())
}
