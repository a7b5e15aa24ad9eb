//! `generation_audit_entries`: who has changed what all see, which is only added to.

use sea_orm::entity::prelude::*;

/// One change.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_audit_entries")]
pub struct Model {
    /// Assigned by the database; higher is newer, but for changes that are made at the same time.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// In whose name, see [`Actor`](crate::domain::Actor).
    pub actor: String,
    /// How he has shown who he is.
    pub credential: Option<String>,
    /// The name of an [`AuditAction`](crate::domain::AuditAction), perhaps of one that only a newer program knows.
    pub action: String,
    /// The name of an [`AuditSubject`](crate::domain::AuditSubject), with the same reserve.
    pub subject_kind: String,
    /// To which; `None` where there is only one.
    pub subject_id: Option<i64>,
    /// What more there is to tell, an object.
    #[sea_orm(column_type = "JsonBinary")]
    pub detail: Json,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
