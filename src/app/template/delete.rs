//! Deletion of a template by itself, see docs/domain.md#soft-delete.

use crate::{
    app::Acting,
    domain::{AuditAction, Deed, Error, Resource, check_etag, deletion_time},
    entity::template,
    store,
};

impl Acting<'_> {
    /// Hides a template; requests keep their link to it. A deleted one is returned as it is.
    pub async fn delete_template(&self, id: i64, etag: &str) -> Result<template::Model, Error> {
        self.write(async |tx| {
            let template = store::template::lock_whole(tx, id).await?;
            if template.deleted_at.is_some() {
                return Ok((template, Vec::new()));
            }
            check_etag(Resource::Template, id, template.version, etag)?;
            let now = self.app.clock.now();
            let deleted_at = Some(deletion_time(now, None));
            let template = store::template::set_deleted(tx, &template, deleted_at, now).await?;
            let deleted = Deed::to(AuditAction::DeleteTemplate, id);
            let deleted = deleted.with("name", template.name.as_str());
            Ok((template, vec![deleted]))
        })
        .await
    }
}
