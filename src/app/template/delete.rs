//! Deletion of a template by itself, see docs/domain.md#soft-delete.

use crate::{
    app::App,
    domain::{Error, Resource, check_etag, deletion_time},
    entity::template,
    store,
};

impl App {
    /// Hides a template; requests keep their link to it. A deleted one is returned as it is.
    pub async fn delete_template(&self, id: i64, etag: &str) -> Result<template::Model, Error> {
        self.store
            .write(async |tx| {
                let template = store::template::lock_whole(tx, id).await?;
                if template.deleted_at.is_some() {
                    return Ok(template);
                }
                check_etag(Resource::Template, id, template.version, etag)?;
                let now = self.clock.now();
                let deleted_at = Some(deletion_time(now, None));
                store::template::set_deleted(tx, &template, deleted_at, now).await
            })
            .await
    }
}
