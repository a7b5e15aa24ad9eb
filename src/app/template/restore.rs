//! The way back to what a template was, see docs/domain.md#versions-of-a-template.

use crate::{
    app::Acting,
    domain::{AuditAction, Checks, Deed, Error, Flaw, stored},
    entity::template,
    store,
};

impl Acting<'_> {
    /// Gives a live template the data again that it had in a version of it, as a change like any other.
    pub async fn restore_template(
        &self,
        id: i64,
        version: i64,
        etag: &str,
    ) -> Result<template::Model, Error> {
        let mut checks = Checks::default();
        checks.id("id", id);
        checks.id("version", version);
        checks.etag("etag", etag);
        checks.finish(())?;
        let db = self.app.store.reader();
        let template = store::template::find_live(db, id).await?;
        let kept = store::template_version::find(db, id, version).await?;
        let mut checks = Checks::default();
        let Some(kept) = kept.filter(|_| version <= template.version) else {
            let expected = "must be a version of the template that is kept";
            checks.add("version", Flaw::UnknownName.says(expected).found(version));
            return checks.finish(template);
        };
        let data = stored::read(Some(&kept.template_data)).map_err(Error::internal)?;
        let restore = Deed::to(AuditAction::RestoreTemplate, id).with("version", version);
        self.change_template(restore, etag, checks, false, |draft| draft.data = data)
            .await
    }
}
