//! `generation_template_versions`: the data that templates have had, the present one too.

use sea_orm::entity::prelude::*;

/// The data of a template from a version on. It is never changed.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_template_versions")]
pub struct Model {
    /// The template that has had it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub template_id: i64,
    /// The first version of the template with it. Versions that changed something else have none of their own.
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: i64,
    /// A [`TemplateData`](crate::domain::TemplateData).
    #[sea_orm(column_type = "JsonBinary")]
    pub template_data: Json,
    /// The template's `updated_at` then.
    pub created_at: DateTimeUtc,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
