//! Templates, see docs/domain.md#templates: finding and changing them.

mod list;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ActiveValue::{Set, Unchanged},
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, UpdateMany,
    sea_query::{Expr, ExprTrait, LockType, Query},
};

use crate::{
    domain::{
        Error, Named, Resource, TemplateData, TemplateDraft, folded_lines, in_window, is_name,
        stored,
    },
    entity::{
        TextList, feature,
        template::{ActiveModel, Column, Entity, Model},
    },
};

use super::{
    Transaction,
    error::is_unique_violation,
    feature::{is, non_empty, offered},
    one_of::one_of_ids,
    search::Searched,
    template_version,
};

use list::folded_each;

pub use list::{Filter, Ranking, list, select};

/// Adds a checked template. [`Error::TemplateNameTaken`] if a live one of the feature has its name.
pub async fn insert(
    db: &impl ConnectionTrait,
    draft: TemplateDraft,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let (feature_id, name) = (draft.feature_id, draft.name.clone());
    let backend = db.get_database_backend();
    let template = ActiveModel {
        search_text: Set(Some(folded_lines(
            &draft.name,
            &draft.description,
            &draft.names,
        ))),
        search_tags: Set(folded_tags(&draft.tags, backend)),
        search_version: Set(Some(1)),
        preview_media_id: Set(draft.preview_media_id),
        id: NotSet,
        feature_id: Set(draft.feature_id),
        name: Set(draft.name),
        description: Set(non_empty(draft.description)),
        template_data: Set(draft.names.stored_with(&draft.data)?),
        preview_url: Set(non_empty(draft.preview_url)),
        is_trending: Set(in_window(draft.trend_start, draft.trend_end, now)),
        trend_score: Set(0),
        usage_count: Set(0),
        view_count: Set(0),
        trend_start_date: Set(draft.trend_start),
        trend_end_date: Set(draft.trend_end),
        tags: Set(TextList::for_backend(draft.tags, backend)),
        is_active: Set(draft.is_active),
        order_index: Set(draft.order_index),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(None),
        version: Set(1),
        trend_weight: Set(0.0),
        trend_weighed_at: Set(None),
    };
    let inserted = template.insert(db).await;
    let inserted = inserted.map_err(|error| name_taken(error, feature_id, name))?;
    template_version::keep(db, &inserted).await?;
    Ok(inserted)
}

fn name_taken(error: DbErr, feature_id: i64, name: String) -> Error {
    if is_unique_violation(&error) {
        Error::TemplateNameTaken { feature_id, name }
    } else {
        error.into()
    }
}

/// The template, deleted or not.
pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Model, Error> {
    let found = Entity::find_by_id(id).one(db).await?;
    found.ok_or_else(|| Error::not_found(Resource::Template, id))
}

/// Those of the templates that there are: of `all`, deleted or not, or of those that are offered to users.
pub async fn find_all(
    db: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = i64>,
    all: bool,
) -> Result<Vec<Model>, Error> {
    let one_of = one_of_ids(db.get_database_backend(), Column::Id, ids);
    let found = Entity::find().filter(one_of);
    let offered = (!all).then(|| {
        is(Column::IsActive, true)
            .and(Column::DeletedAt.is_null())
            .and(Column::FeatureId.in_subquery(offered()))
    });
    let found = found.apply_if(offered, |query, offered| query.filter(offered));
    Ok(found.all(db).await?)
}

/// The template, if it is not deleted.
pub async fn find_live(db: &impl ConnectionTrait, id: i64) -> Result<Model, Error> {
    live(find(db, id).await?)
}

/// The live template with this name, `feature/template`.
pub async fn find_named(db: &impl ConnectionTrait, name: &str) -> Result<Model, Error> {
    let (feature, own) = name.split_once('/').unwrap_or_default();
    let features = feature::Entity::find()
        .select_only()
        .column(feature::Column::Id)
        .filter(feature::Column::DeletedAt.is_null())
        .filter(feature::Column::Name.eq(feature));
    let named = Entity::find()
        .filter(Column::DeletedAt.is_null())
        .filter(Column::FeatureId.in_subquery(features.into_query()))
        .filter(Column::Name.eq(own));
    let can_be = is_name(feature) && is_name(own);
    let found = if can_be { named.one(db).await? } else { None };
    found.ok_or_else(|| Error::not_named(Resource::Template, name))
}

fn live(template: Model) -> Result<Model, Error> {
    if template.deleted_at.is_some() {
        return Err(Error::not_found(Resource::Template, template.id));
    }
    Ok(template)
}

/// The live template, which nobody else changes until the transaction ends.
pub async fn lock(tx: &Transaction, id: i64) -> Result<Model, Error> {
    live(lock_whole(tx, id).await?)
}

/// The template, deleted or not, which nobody else changes until the transaction ends.
pub async fn lock_whole(tx: &Transaction, id: i64) -> Result<Model, Error> {
    // Requests may be made with it meanwhile: their foreign keys only need it to be there.
    let query = Entity::find_by_id(id).lock(LockType::NoKeyUpdate);
    let found = query.one(tx).await?;
    found.ok_or_else(|| Error::not_found(Resource::Template, id))
}

/// Those of the templates that are live and of the feature, by id; nobody else changes them until the transaction ends.
pub async fn lock_live(
    tx: &Transaction,
    feature_id: i64,
    ids: &[i64],
) -> Result<Vec<Model>, Error> {
    let these = one_of_ids(tx.get_database_backend(), Column::Id, ids.iter().copied());
    let templates = Entity::find()
        .filter(these)
        .filter(Column::FeatureId.eq(feature_id))
        .filter(Column::DeletedAt.is_null())
        .order_by_asc(Column::Id)
        .lock(LockType::NoKeyUpdate);
    Ok(templates.all(tx).await?)
}

/// Gives a locked template its place.
pub async fn set_order_index(
    tx: &Transaction,
    locked: &Model,
    order_index: i32,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let template = ActiveModel {
        order_index: Set(order_index),
        ..next_version(locked, now)
    };
    Ok(template.update(tx).await?)
}

/// Changes a locked template to what the checked draft says.
pub async fn update(
    tx: &Transaction,
    locked: &Model,
    draft: TemplateDraft,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let is_trending = is_trending(locked, &draft, now);
    let name = draft.name.clone();
    let backend = tx.get_database_backend();
    let template = ActiveModel {
        search_text: Set(Some(folded_lines(
            &draft.name,
            &draft.description,
            &draft.names,
        ))),
        search_tags: Set(folded_tags(&draft.tags, backend)),
        search_version: Set(Some(locked.version + 1)),
        name: Set(draft.name),
        description: Set(non_empty(draft.description)),
        template_data: Set(draft.names.stored_with(&draft.data)?),
        preview_media_id: Set(draft.preview_media_id),
        preview_url: Set(non_empty(draft.preview_url)),
        is_trending: Set(is_trending),
        trend_start_date: Set(draft.trend_start),
        trend_end_date: Set(draft.trend_end),
        tags: Set(TextList::for_backend(draft.tags, backend)),
        is_active: Set(draft.is_active),
        order_index: Set(draft.order_index),
        ..next_version(locked, now)
    };
    let updated = template.update(tx).await;
    let updated = updated.map_err(|error| name_taken(error, locked.feature_id, name))?;
    if updated.template_data != locked.template_data {
        template_version::keep(tx, &updated).await?;
    }
    Ok(updated)
}

/// In its window, or still by the popularity that showed it as trending outside of the window that it had.
fn is_trending(old: &Model, new: &TemplateDraft, now: DateTime<Utc>) -> bool {
    let by_score = old.is_trending && !in_window(old.trend_start_date, old.trend_end_date, now);
    by_score || in_window(new.trend_start, new.trend_end, now)
}

/// Sets a locked template's time of deletion, or takes it away. [`Error::TemplateNameTaken`] if a live one has its name.
pub async fn set_deleted(
    tx: &Transaction,
    locked: &Model,
    deleted_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let template = ActiveModel {
        deleted_at: Set(deleted_at),
        ..next_version(locked, now)
    };
    let updated = template.update(tx).await;
    updated.map_err(|error| name_taken(error, locked.feature_id, locked.name.clone()))
}

fn next_version(locked: &Model, now: DateTime<Utc>) -> ActiveModel {
    ActiveModel {
        id: Unchanged(locked.id),
        updated_at: Set(now),
        version: Set(locked.version + 1),
        // What is searched stays as it is.
        search_version: Set(locked.search_version.map(|version| version + 1)),
        ..Default::default()
    }
}

fn folded_tags(tags: &[String], backend: DbBackend) -> Option<TextList> {
    TextList::for_backend(folded_each(tags), backend)
}

impl Searched for Entity {
    fn folded(template: Model, backend: DbBackend) -> ActiveModel {
        let description = template.description.unwrap_or_default();
        let Named::<TemplateData> { names, .. } = stored::show(Some(template.template_data));
        let tags = template.tags.as_ref().map_or(&[][..], TextList::items);
        ActiveModel {
            id: Unchanged(template.id),
            search_text: Set(Some(folded_lines(&template.name, &description, &names))),
            search_tags: Set(folded_tags(tags, backend)),
            search_version: Set(Some(template.version)),
            ..Default::default()
        }
    }
}

/// When the last of the feature's deleted templates was deleted.
pub async fn last_deletion(
    db: &impl ConnectionTrait,
    feature_id: i64,
) -> Result<Option<DateTime<Utc>>, Error> {
    let latest = Entity::find()
        .select_only()
        .column_as(Column::DeletedAt.max(), "latest")
        .filter(Column::FeatureId.eq(feature_id))
        .into_tuple::<Option<DateTime<Utc>>>()
        .one(db)
        .await?;
    Ok(latest.flatten())
}

/// The data of a feature's live templates, with their ids.
pub async fn live_data_of_feature(
    db: &impl ConnectionTrait,
    feature_id: i64,
) -> Result<Vec<(i64, serde_json::Value)>, Error> {
    let data = Entity::find()
        .select_only()
        .columns([Column::Id, Column::TemplateData])
        .filter(Column::FeatureId.eq(feature_id))
        .filter(Column::DeletedAt.is_null())
        .order_by_asc(Column::Id)
        .into_tuple();
    Ok(data.all(db).await?)
}

/// Deletes the live templates of a feature whose row is locked.
pub async fn delete_of_feature(
    tx: &Transaction,
    feature_id: i64,
    deleted_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    lock_of_feature(tx, feature_id).await?;
    let update = next_versions(now)
        .col_expr(Column::DeletedAt, Expr::value(deleted_at))
        .filter(Column::FeatureId.eq(feature_id))
        .filter(Column::DeletedAt.is_null());
    update.exec(tx).await?;
    Ok(())
}

/// Brings back the templates of a locked feature that were deleted at `deleted_at`. [`Error::TemplateNameTaken`] if a live
/// one has the name of one of them.
pub async fn undelete_of_feature(
    tx: &Transaction,
    feature_id: i64,
    deleted_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    lock_of_feature(tx, feature_id).await?;
    let live_names = Query::select()
        .column(Column::Name)
        .from(Entity)
        .and_where(Column::FeatureId.eq(feature_id))
        .and_where(Column::DeletedAt.is_null())
        .take();
    let taken = Entity::find()
        .filter(Column::FeatureId.eq(feature_id))
        .filter(Column::DeletedAt.eq(deleted_at))
        .filter(Column::Name.in_subquery(live_names))
        .one(tx)
        .await?;
    if let Some(Model { name, .. }) = taken {
        return Err(Error::TemplateNameTaken { feature_id, name });
    }
    let update = next_versions(now)
        .col_expr(Column::DeletedAt, Expr::value(None::<DateTime<Utc>>))
        .filter(Column::FeatureId.eq(feature_id))
        .filter(Column::DeletedAt.eq(deleted_at));
    update.exec(tx).await?;
    Ok(())
}

/// Templates are locked in the order of their ids everywhere: that leaves no way into a deadlock.
async fn lock_of_feature(tx: &Transaction, feature_id: i64) -> Result<(), Error> {
    let locked = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::FeatureId.eq(feature_id))
        .order_by_asc(Column::Id)
        .lock(LockType::NoKeyUpdate)
        .into_tuple::<i64>();
    locked.all(tx).await?;
    Ok(())
}

fn next_versions(now: DateTime<Utc>) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .col_expr(
            Column::SearchVersion,
            Expr::col(Column::SearchVersion).add(1),
        )
}
