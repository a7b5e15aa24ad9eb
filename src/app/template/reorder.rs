//! The order of a feature's templates.

use std::collections::BTreeMap;

use crate::{
    app::Acting,
    domain::{AuditAction, Checks, Deed, Error, Flaw},
    entity::template,
    store::{self, Transaction},
};

impl Acting<'_> {
    /// Gives live templates of a feature their places, from 0, in the order given, which has no two alike.
    pub async fn reorder_templates(
        &self,
        feature_id: i64,
        ids: &[i64],
    ) -> Result<Vec<template::Model>, Error> {
        self.write(async |tx| {
            let mut locked = locked(tx, feature_id, ids).await?;
            let mut ordered = Vec::with_capacity(ids.len());
            let mut deeds = Vec::new();
            for (place, id) in (0..).zip(ids) {
                let Some(template) = locked.remove(id) else {
                    continue;
                };
                ordered.push(match template.order_index == place {
                    true => template,
                    false => {
                        let reorder = Deed::to(AuditAction::ReorderTemplates, feature_id);
                        deeds = vec![reorder.with("template_ids", ids)];
                        let now = self.app.clock.now();
                        store::template::set_order_index(tx, &template, place, now).await?
                    }
                });
            }
            Ok((ordered, deeds))
        })
        .await
    }
}

/// The live templates of these ids, which nobody else changes until the transaction ends.
async fn locked(
    tx: &Transaction,
    feature_id: i64,
    ids: &[i64],
) -> Result<BTreeMap<i64, template::Model>, Error> {
    let locked = store::template::lock_live(tx, feature_id, ids).await?;
    let locked: BTreeMap<i64, _> = locked.into_iter().map(|it| (it.id, it)).collect();
    let mut checks = Checks::default();
    for (index, id) in ids.iter().enumerate() {
        let field = format!("template_ids[{index}]");
        checks.require(locked.contains_key(id), &field, || {
            Flaw::UnknownName
                .says(format!("feature {feature_id} has no live template {id}"))
                .found(id)
        });
    }
    checks.finish(locked)
}
