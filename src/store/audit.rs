//! The audit log: entries are added in the transaction of the change that they tell of, and stay.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryTrait,
};
use serde::Serialize;

use crate::{
    domain::{Actor, AuditAction, AuditSubject, Deed, Error, Page},
    entity::audit_entry::{ActiveModel, Column, Entity, Model},
};

use super::{
    PageRequest, Transaction,
    page::{List, Sorting},
};

/// What a list shows; `None` means all.
#[derive(Debug, Default, Serialize)]
pub struct Filter {
    /// What was done in this name.
    pub actor: Option<String>,
    /// This and nothing else.
    pub action: Option<AuditAction>,
    /// What was done to one of these.
    pub subject_kind: Option<AuditSubject>,
    /// And to the one of this id.
    pub subject_id: Option<i64>,
    /// At this time or later.
    pub created_from: Option<DateTime<Utc>>,
    /// Before this time.
    pub created_before: Option<DateTime<Utc>>,
}

/// Adds an entry.
pub async fn add(
    tx: &Transaction,
    actor: &Actor,
    deed: Deed,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let entry = ActiveModel {
        id: NotSet,
        created_at: Set(now),
        actor: Set(actor.name.clone()),
        credential: Set(actor.credential.clone()),
        action: Set(deed.action.name().to_owned()),
        subject_kind: Set(deed.action.subject().name().to_owned()),
        subject_id: Set(deed.subject_id),
        detail: Set(deed.detail.into()),
    };
    Ok(entry.insert(tx).await?)
}

/// Entries, newest first.
pub async fn list(
    db: &impl ConnectionTrait,
    filter: &Filter,
    page: &PageRequest,
) -> Result<Page<Model>, Error> {
    let query = Entity::find()
        .apply_if(filter.actor.as_ref(), |query, actor| {
            query.filter(Column::Actor.eq(actor))
        })
        .apply_if(filter.action, |query, action| {
            query.filter(Column::Action.eq(action.name()))
        })
        .apply_if(filter.subject_kind, |query, kind| {
            query.filter(Column::SubjectKind.eq(kind.name()))
        })
        .apply_if(filter.subject_id, |query, id| {
            query.filter(Column::SubjectId.eq(id))
        })
        .apply_if(filter.created_from, |query, time| {
            query.filter(Column::CreatedAt.gte(time))
        })
        .apply_if(filter.created_before, |query, time| {
            query.filter(Column::CreatedAt.lt(time))
        });
    let list = List {
        name: "audit entries by created_at, id descending",
        filter,
        query,
        page,
    };
    let newest_first = Sorting {
        direction: Order::Desc,
        columns: vec![Column::CreatedAt, Column::Id],
        key: |row: &Model| vec![row.created_at.timestamp_micros(), row.id],
        by_time: true,
    };
    list.sorted(db, newest_first).await
}
