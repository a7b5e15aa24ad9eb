//! The order of a feature's templates.

use std::collections::BTreeMap;

use crate::{
    app::App,
    domain::{Checks, Error, Flaw},
    entity::template,
    store,
};

impl App {
    /// Gives live templates of a feature their places, from 0, in the order given, which has no two alike.
    pub async fn reorder_templates(
        &self,
        feature_id: i64,
        ids: &[i64],
    ) -> Result<Vec<template::Model>, Error> {
        self.store
            .write(async |tx| {
                let locked = store::template::lock_live(tx, feature_id, ids).await?;
                let mut locked: BTreeMap<i64, _> =
                    locked.into_iter().map(|it| (it.id, it)).collect();
                let mut checks = Checks::default();
                for (index, id) in ids.iter().enumerate() {
                    let field = format!("template_ids[{index}]");
                    checks.require(locked.contains_key(id), &field, || {
                        Flaw::UnknownName
                            .says(format!("feature {feature_id} has no live template {id}"))
                            .found(id)
                    });
                }
                checks.finish(())?;
                let mut ordered = Vec::with_capacity(ids.len());
                for (place, id) in (0..).zip(ids) {
                    let Some(template) = locked.remove(id) else {
                        continue;
                    };
                    ordered.push(match template.order_index == place {
                        true => template,
                        false => {
                            let now = self.clock.now();
                            store::template::set_order_index(tx, &template, place, now).await?
                        }
                    });
                }
                Ok(ordered)
            })
            .await
    }
}
