use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter,
    sea_query::{Expr, SimpleExpr},
};
use serde::Serialize;

use crate::{
    domain::{Error, Page, Resource, TemplateDraft},
    entity::{
        TextList,
        template::{ActiveModel, Column, Entity, Model},
    },
};

use super::{PageRequest, error::is_unique_violation, feature::non_empty, page::List};

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
    let columns = (Column::OrderIndex, Column::Id);
    list.in_display_order(db, columns, |row| (row.order_index, row.id))
        .await
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
