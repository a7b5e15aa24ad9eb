//! Where jobs stand, as watchers ask it again and again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityName, EntityTrait, FromQueryResult, JoinType, QueryFilter,
    QueryOrder, QuerySelect, Select, sea_query::Expr,
};

use crate::{
    domain::{
        Error, JobStatus, MediaType,
        job::{Capability, is_stalled},
    },
    entity::{
        job::{Column, Entity},
        request,
    },
    store::{
        one_of::{FirstOfEach, id_list, one_of_ids},
        queue, sequence,
    },
};

/// Where a job stands: what tells a watcher whether there is something to read.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Standing {
    /// Of the job.
    pub id: i64,
    /// The request that it belongs to.
    pub request_id: i64,
    /// Whose it is.
    pub user_id: i64,
    /// Of the last transition.
    pub revision: i64,
    /// Since that transition.
    pub status: JobStatus,
    /// 0 to 1, of the current attempt.
    pub progress: f64,
    /// What that does now, as the provider says it.
    pub progress_message: Option<String>,
    /// What that has so far, as a data URL.
    pub progress_preview: Option<String>,
    /// The job that a retry made in its place.
    pub superseded_by: Option<i64>,
    /// `None` while it is live.
    pub deleted_at: Option<DateTime<Utc>>,
    /// `None` while its request is live.
    pub request_deleted_at: Option<DateTime<Utc>>,
    /// The provider that it is for; `None` in a row of an older program.
    pub provider: Option<String>,
    /// What it makes.
    pub category: MediaType,
    /// Whether it waits for its time, for others of its user, or for a feature that is paused.
    pub parked: bool,
    /// See `parked`.
    pub held: bool,
    /// See `parked`.
    pub paused: bool,
    /// Until when its worker has it, unless that says more; `None` while none has.
    pub lease_expires_at: Option<DateTime<Utc>>,
    /// When it stood so, by the database's clock.
    pub now: DateTime<Utc>,
}

impl Standing {
    /// Whether its request waits for it: it is live, not superseded, and has not ended.
    pub fn is_open(&self) -> bool {
        self.deleted_at.is_none() && self.superseded_by.is_none() && !self.status.is_terminal()
    }

    /// The queue that it waits in; `None` if it does not wait, or is out of the queue.
    pub fn queue(&self) -> Option<Capability> {
        let waits = self.status == JobStatus::Pending && self.deleted_at.is_none();
        let is_out = self.parked || self.held || self.paused;
        let provider = self.provider.clone().filter(|_| waits && !is_out)?;
        Some(Capability {
            provider,
            category: self.category,
        })
    }

    /// Whether a worker has it whose lease ends within `left`.
    pub fn is_stalled(&self, left: Duration) -> bool {
        is_stalled(self.status, self.lease_expires_at, self.now + left)
    }
}

/// How all jobs of these requests stand at one moment, deleted and superseded ones too, in order of id.
pub async fn standings_of_requests(
    db: &impl ConnectionTrait,
    request_ids: impl IntoIterator<Item = i64>,
) -> Result<Vec<Standing>, Error> {
    let of_requests = one_of_ids(
        db.get_database_backend(),
        (Entity, Column::RequestId),
        request_ids,
    );
    Ok(all_standings(db)
        .filter(of_requests)
        .into_model()
        .all(db)
        .await?)
}

/// How these jobs stand at one moment, in order of id.
pub async fn standings(
    db: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = i64>,
) -> Result<Vec<Standing>, Error> {
    let these = one_of_ids(db.get_database_backend(), (Entity, Column::Id), ids);
    Ok(all_standings(db).filter(these).into_model().all(db).await?)
}

/// How the first `limit` jobs of each of these users after the identifier beside him stand at one moment, deleted ones too, in
/// order of id.
pub async fn standings_after(
    db: &impl ConnectionTrait,
    after: &BTreeSet<(i64, i64)>,
    limit: usize,
) -> Result<BTreeMap<(i64, i64), Vec<Standing>>, Error> {
    let backend = db.get_database_backend();
    let users = id_list(backend, after.iter().map(|(user_id, _)| *user_id));
    let ids = id_list(backend, after.iter().map(|(_, id)| *id));
    let first = FirstOfEach {
        table: Entity.table_name(),
        condition: "one.user_id = asked.key AND one.id > asked.bound",
        order: "one.id",
        bounds: "bigint",
        limit,
    };
    let jobs = all_standings(db).filter(first.filter(backend, (Entity, Column::Id), users, ids));
    let jobs: Vec<Standing> = jobs.into_model().all(db).await?;
    let of = |&(user_id, id): &(i64, i64)| {
        let jobs = jobs.iter();
        let later = jobs.filter(|job| job.user_id == user_id && job.id > id);
        later.take(limit).cloned().collect()
    };
    Ok(after.iter().map(|asked| (*asked, of(asked))).collect())
}

/// The newest `limit` jobs of a user with their revisions, and whether each has ended.
pub async fn newest(
    db: &impl ConnectionTrait,
    user_id: i64,
    limit: usize,
) -> Result<Vec<(i64, i64, JobStatus)>, Error> {
    let jobs = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Revision, Column::Status])
        .filter(Column::UserId.eq(user_id))
        .order_by_desc(Column::Id)
        .limit(limit as u64);
    Ok(jobs.into_tuple().all(db).await?)
}

/// The first `limit` live jobs of a user that have not ended, in order of id.
pub async fn unfinished(
    db: &impl ConnectionTrait,
    user_id: i64,
    limit: usize,
) -> Result<Vec<i64>, Error> {
    let jobs = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::UserId.eq(user_id))
        .filter(Column::DeletedAt.is_null())
        .filter(Column::Status.is_in([JobStatus::Pending, JobStatus::Processing]))
        .order_by_asc(Column::Id)
        .limit(limit as u64);
    Ok(jobs.into_tuple().all(db).await?)
}

/// The newest job that there ever was, be it purged by now; 0 if there was none.
pub async fn last_id(db: &impl ConnectionTrait) -> Result<i64, Error> {
    sequence::last(db, Entity.table_name()).await
}

fn all_standings(db: &impl ConnectionTrait) -> Select<Entity> {
    let request = Entity::belongs_to(request::Entity)
        .from(Column::RequestId)
        .to(request::Column::Id)
        .into();
    Entity::find()
        .select_only()
        .columns([
            Column::Id,
            Column::RequestId,
            Column::UserId,
            Column::Revision,
            Column::Status,
            Column::Progress,
            Column::ProgressMessage,
            Column::ProgressPreview,
            Column::SupersededBy,
            Column::DeletedAt,
            Column::Provider,
            Column::Category,
            Column::Parked,
            Column::Held,
            Column::Paused,
            Column::LeaseExpiresAt,
        ])
        .expr_as(Expr::cust(queue::clock(db)), "now")
        .column_as(request::Column::DeletedAt, "request_deleted_at")
        .join(JoinType::InnerJoin, request)
        .order_by_asc(Column::Id)
}
