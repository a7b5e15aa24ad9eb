use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait,
    EntityTrait, PaginatorTrait, QueryFilter, QuerySelect,
};
use serde::Serialize;

use crate::{
    domain::{Error, FeatureDraft, Page, Resource},
    entity::{
        MediaType,
        feature::{ActiveModel, Column, Entity, Model},
    },
};

use super::{PageRequest, error::is_unique_violation, page::List};

/// What a list shows; `None` means all.
#[derive(Debug, Serialize)]
pub struct Filter {
    pub category: Option<MediaType>,
    pub is_active: Option<bool>,
    pub show_deleted: bool,
}

/// Adds a checked feature. [`Error::FeatureNameTaken`] if a live one has its name.
pub async fn insert(
    db: &impl ConnectionTrait,
    draft: FeatureDraft,
    category: MediaType,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let name = draft.name.clone();
    let feature = ActiveModel {
        id: NotSet,
        name: Set(draft.name),
        description: Set(non_empty(draft.description)),
        category: Set(category),
        system_prompt: Set(non_empty(draft.system_prompt)),
        properties: Set(Some(
            serde_json::to_value(draft.properties).map_err(Error::internal)?,
        )),
        preview_url: Set(non_empty(draft.preview_url)),
        icon_url: Set(non_empty(draft.icon_url)),
        is_active: Set(draft.is_active),
        order_index: Set(draft.order_index),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(None),
        version: Set(1),
    };
    feature.insert(db).await.map_err(|error| {
        if is_unique_violation(&error) {
            Error::FeatureNameTaken { name }
        } else {
            error.into()
        }
    })
}

pub(super) fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// The feature, deleted or not.
pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Model, Error> {
    let found = Entity::find_by_id(id).one(db).await?;
    found.ok_or_else(|| Error::not_found(Resource::Feature, id))
}

/// The feature, if it is not deleted.
pub async fn find_live(db: &impl ConnectionTrait, id: i64) -> Result<Model, Error> {
    let found = find(db, id).await?;
    if found.deleted_at.is_some() {
        return Err(Error::not_found(Resource::Feature, id));
    }
    Ok(found)
}

/// Whether no feature was ever made.
pub async fn is_empty(db: &impl ConnectionTrait) -> Result<bool, Error> {
    Ok(Entity::find().limit(1).count(db).await? == 0)
}

/// Features in display order.
pub async fn list(
    db: &impl ConnectionTrait,
    filter: &Filter,
    page: &PageRequest,
) -> Result<Page<Model>, Error> {
    let mut query = Entity::find();
    if let Some(category) = filter.category {
        query = query.filter(Column::Category.eq(category));
    }
    if let Some(is_active) = filter.is_active {
        query = query.filter(Column::IsActive.eq(is_active));
    }
    if !filter.show_deleted {
        query = query.filter(Column::DeletedAt.is_null());
    }
    let list = List {
        name: "features by order_index, id",
        filter,
        query,
        page,
    };
    let columns = (Column::OrderIndex, Column::Id);
    list.in_display_order(db, columns, |row| (row.order_index, row.id))
        .await
}
