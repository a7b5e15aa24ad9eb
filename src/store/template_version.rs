//! The data that templates have had, see docs/domain.md#versions-of-a-template.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Order,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use serde::Serialize;

use crate::{
    domain::{Error, Page},
    entity::{
        template,
        template_version::{Column, Entity, Model},
    },
};

use super::{
    PageRequest,
    page::{List, Sorting},
};

/// How many are kept of a template.
const KEPT: u64 = 100;

/// What a list shows.
#[derive(Debug, Serialize)]
pub struct Filter {
    /// Those of this template.
    pub template_id: i64,
    /// This one and earlier ones; `None` means all.
    pub up_to: Option<i64>,
}

/// Keeps the data that the template has now, and forgets the oldest.
pub(super) async fn keep(
    db: &impl ConnectionTrait,
    template: &template::Model,
) -> Result<(), Error> {
    let version = Model {
        template_id: template.id,
        version: template.version,
        template_data: template.template_data.clone(),
        created_at: template.updated_at,
    };
    version.into_active_model().insert(db).await?;
    let of_template = Column::TemplateId.eq(template.id);
    let last_forgotten: Option<i64> = Entity::find()
        .select_only()
        .column(Column::Version)
        .filter(of_template.clone())
        .order_by_desc(Column::Version)
        .offset(KEPT)
        .limit(1)
        .into_tuple()
        .one(db)
        .await?;
    if let Some(last) = last_forgotten {
        Entity::delete_many()
            .filter(of_template)
            .filter(Column::Version.lte(last))
            .exec(db)
            .await?;
    }
    Ok(())
}

/// Versions of a template, newest first.
pub async fn list(
    db: &impl ConnectionTrait,
    filter: &Filter,
    page: &PageRequest,
) -> Result<Page<Model>, Error> {
    let query = Entity::find()
        .filter(Column::TemplateId.eq(filter.template_id))
        .apply_if(filter.up_to, |query, version| {
            query.filter(Column::Version.lte(version))
        });
    let list = List {
        name: "versions of a template descending",
        filter,
        query,
        page,
    };
    let newest_first = Sorting::by(Column::Version, Order::Desc, |row: &Model| {
        vec![row.version]
    });
    list.sorted(db, newest_first).await
}

/// What the template's data was in this version of it, if that is kept.
pub async fn find(
    db: &impl ConnectionTrait,
    template_id: i64,
    version: i64,
) -> Result<Option<Model>, Error> {
    let at_that_time = Entity::find()
        .filter(Column::TemplateId.eq(template_id))
        .filter(Column::Version.lte(version))
        .order_by_desc(Column::Version);
    Ok(at_that_time.one(db).await?)
}
