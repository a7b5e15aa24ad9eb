use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, Order, QueryFilter, QuerySelect,
    UpdateMany,
    sea_query::{Expr, ExprTrait, Query, SimpleExpr},
};
use serde::Serialize;

use crate::{
    domain::{Error, Page, Resource, TemplateDraft},
    entity::{
        TextList,
        template::{ActiveModel, Column, Entity, Model},
    },
};

use super::{
    PageRequest, Transaction,
    error::is_unique_violation,
    feature::non_empty,
    page::{List, Sorting},
};

/// What a list shows; `None` and empty mean all.
#[derive(Debug, Serialize)]
pub struct Filter {
    pub feature_id: Option<i64>,
    /// All of these.
    pub tags: Vec<String>,
    pub is_active: Option<bool>,
    pub show_deleted: bool,
}

/// Adds a checked template. [`Error::TemplateNameTaken`] if a live one of the feature has its name.
pub async fn insert(
    db: &impl ConnectionTrait,
    draft: TemplateDraft,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let taken = Error::TemplateNameTaken {
        feature_id: draft.feature_id,
        name: draft.name.clone(),
    };
    let template = ActiveModel {
        id: NotSet,
        feature_id: Set(draft.feature_id),
        name: Set(draft.name),
        description: Set(non_empty(draft.description)),
        template_data: Set(serde_json::to_value(draft.data).map_err(Error::internal)?),
        preview_url: Set(non_empty(draft.preview_url)),
        is_trending: Set(false),
        trend_score: Set(0),
        usage_count: Set(0),
        view_count: Set(0),
        trend_start_date: Set(None),
        trend_end_date: Set(None),
        tags: Set(TextList::for_backend(draft.tags, db.get_database_backend())),
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
    inserted.map_err(|error| {
        if is_unique_violation(&error) {
            taken
        } else {
            error.into()
        }
    })
}

/// The template, deleted or not.
pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Model, Error> {
    let found = Entity::find_by_id(id).one(db).await?;
    found.ok_or_else(|| Error::not_found(Resource::Template, id))
}

/// The template, if it is not deleted.
pub async fn find_live(db: &impl ConnectionTrait, id: i64) -> Result<Model, Error> {
    live(find(db, id).await?)
}

fn live(template: Model) -> Result<Model, Error> {
    if template.deleted_at.is_some() {
        return Err(Error::not_found(Resource::Template, template.id));
    }
    Ok(template)
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

/// Deletes the live templates of a feature whose row is locked.
pub async fn delete_of_feature(
    tx: &Transaction,
    feature_id: i64,
    deleted_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let update = next_version(now)
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
    let update = next_version(now)
        .col_expr(Column::DeletedAt, Expr::value(None::<DateTime<Utc>>))
        .filter(Column::FeatureId.eq(feature_id))
        .filter(Column::DeletedAt.eq(deleted_at));
    update.exec(tx).await?;
    Ok(())
}

/// Changes a locked template to what the checked draft says.
pub async fn update(
    tx: &Transaction,
    locked: &Model,
    draft: TemplateDraft,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let backend = tx.get_database_backend();
    let template = ActiveModel {
        id: sea_orm::ActiveValue::Unchanged(locked.id),
        name: Set(draft.name),
        description: Set(non_empty(draft.description)),
        template_data: Set(serde_json::to_value(draft.data).map_err(Error::internal)?),
        preview_url: Set(non_empty(draft.preview_url)),
        tags: Set(TextList::for_backend(draft.tags, backend)),
        is_active: Set(draft.is_active),
        order_index: Set(draft.order_index),
        updated_at: Set(now),
        version: Set(locked.version + 1),
        ..Default::default()
    };
    Ok(template.update(tx).await?)
}

pub async fn set_deleted(
    tx: &Transaction,
    locked: &Model,
    deleted_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let template = ActiveModel {
        id: sea_orm::ActiveValue::Unchanged(locked.id),
        deleted_at: Set(deleted_at),
        updated_at: Set(now),
        version: Set(locked.version + 1),
        ..Default::default()
    };
    Ok(template.update(tx).await?)
}

fn next_version(now: DateTime<Utc>) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
}

/// Templates in display order.
pub async fn list(
    db: &impl ConnectionTrait,
    filter: &Filter,
    page: &PageRequest,
) -> Result<Page<Model>, Error> {
    let mut query = Entity::find();
    if let Some(feature_id) = filter.feature_id {
        query = query.filter(Column::FeatureId.eq(feature_id));
    }
    if !filter.tags.is_empty() {
        query = query.filter(has_all_tags(&filter.tags, db.get_database_backend()));
    }
    if let Some(is_active) = filter.is_active {
        query = query.filter(Column::IsActive.eq(is_active));
    }
    if !filter.show_deleted {
        query = query.filter(Column::DeletedAt.is_null());
    }
    let list = List {
        name: "templates by order_index, id",
        filter,
        query,
        page,
    };
    let sorting = Sorting {
        direction: Order::Asc,
        columns: vec![Column::OrderIndex, Column::Id],
        key: |row: &Model| vec![row.order_index.into(), row.id],
    };
    list.sorted(db, sorting).await
}

/// The array operator that the GIN index serves; SQLite has neither and reads the JSON.
fn has_all_tags(tags: &[String], backend: DbBackend) -> SimpleExpr {
    if backend == DbBackend::Postgres {
        return Expr::cust_with_values("tags @> $1", [tags.to_vec()]);
    }
    let missing = "NOT EXISTS (SELECT 1 FROM json_each(?) AS wanted WHERE wanted.value NOT IN \
                   (SELECT own.value FROM json_each(COALESCE(generation_templates.tags, '[]')) AS own))";
    Expr::cust_with_values(
        missing,
        [serde_json::Value::from(tags.to_vec()).to_string()],
    )
}
