//! `models`: the features, and their templates as `feature/template`.

use std::collections::BTreeMap;

use axum::{Json, extract::Path};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::{
    domain::{Error, Resource},
    store::{self, PageRequest, template::Ranking},
};

use super::{Front, refusal::Refusal};

/// Most features, and most templates, that are listed: official clients ask for no second page.
const MOST: u64 = 1_000;

pub(super) async fn list(front: Front) -> Result<Json<Value>, Refusal> {
    let db = front.app.store.reader();
    let page = PageRequest {
        size: MOST,
        token: String::new(),
        sealer: front.app.sealer(front.caller()),
    };
    let filter = store::feature::Filter {
        is_active: Some(true),
        ..Default::default()
    };
    let features = store::feature::list(db, &filter, &page).await?.items;
    let filter = store::template::Filter {
        is_active: Some(true),
        ..Default::default()
    };
    let templates = store::template::list(db, &filter, Ranking::Display, &page, false).await?;
    let mut models = Vec::new();
    let mut names = BTreeMap::new();
    for feature in &features {
        models.push(model(&feature.name, feature.created_at));
        names.insert(feature.id, feature.name.as_str());
    }
    for template in &templates.items {
        if let Some(feature) = names.get(&template.feature_id) {
            let name = format!("{feature}/{}", template.name);
            models.push(model(&name, template.created_at));
        }
    }
    Ok(Json(json!({ "object": "list", "data": models })))
}

pub(super) async fn show(front: Front, Path(name): Path<String>) -> Result<Json<Value>, Refusal> {
    let db = front.app.store.reader();
    let (created_at, is_active) = if name.contains('/') {
        let template = store::template::find_named(db, &name).await?;
        let feature = store::feature::find_live(db, template.feature_id).await?;
        (template.created_at, template.is_active && feature.is_active)
    } else {
        let feature = store::feature::find_named(db, &name).await?;
        (feature.created_at, feature.is_active)
    };
    match is_active {
        true => Ok(Json(model(&name, created_at))),
        false => Err(Error::not_named(Resource::Feature, &name).into()),
    }
}

fn model(name: &str, created_at: DateTime<Utc>) -> Value {
    json!({
        "id": name, "object": "model", "created": created_at.timestamp(), "owned_by": "atelier",
    })
}
