//! What of the catalogue callers are shown: users what is live and active, as if there were nothing else.

use crate::{
    app::App,
    domain::{Caller, Checks, Error, Flaw, Resource},
    entity::{feature, template},
    store,
};

/// The feature of this id, or of this name where there is none.
pub(super) async fn feature(
    app: &App,
    caller: Caller,
    (id, name): (i64, &str),
) -> Result<feature::Model, Error> {
    let db = app.store.reader();
    let found = match id {
        0 => store::feature::find_named(db, name).await?,
        id => store::feature::find(db, id).await?,
    };
    match caller.is_trusted() || is_offered(&found) {
        true => Ok(found),
        false => Err(missing(Resource::Feature, id, name)),
    }
}

/// The template of this id, or of this name where there is none, and its feature.
pub(super) async fn template(
    app: &App,
    caller: Caller,
    (id, name): (i64, &str),
) -> Result<(template::Model, feature::Model), Error> {
    let db = app.store.reader();
    let found = match id {
        0 => store::template::find_named(db, name).await?,
        id => store::template::find(db, id).await?,
    };
    let feature = store::feature::find(db, found.feature_id).await?;
    let is_offered = found.deleted_at.is_none() && found.is_active && is_offered(&feature);
    match caller.is_trusted() || is_offered {
        true => Ok((found, feature)),
        false => Err(missing(Resource::Template, id, name)),
    }
}

/// Narrows what a list is asked for to what the caller is shown.
pub(super) fn narrow(
    caller: Caller,
    is_active: &mut Option<bool>,
    show_deleted: bool,
    checks: &mut Checks,
) {
    if caller.is_trusted() {
        return;
    }
    let words = "only a trusted caller may see what is not offered";
    checks.require(*is_active != Some(false), "is_active", || {
        Flaw::NotPermitted.says(words)
    });
    checks.require(!show_deleted, "show_deleted", || {
        Flaw::NotPermitted.says(words)
    });
    *is_active = Some(true);
}

fn is_offered(feature: &feature::Model) -> bool {
    feature.deleted_at.is_none() && feature.is_active
}

fn missing(resource: Resource, id: i64, name: &str) -> Error {
    match id {
        0 => Error::not_named(resource, name),
        id => Error::not_found(resource, id),
    }
}
