//! What services have told of tasks that they cannot be asked for, see docs/providers/task.md#webhooks.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait, OnConflict, Query},
};

use crate::{
    domain::{Error, JobStatus},
    entity::{
        job,
        job_answer::{ActiveModel, Column, Entity},
    },
};

/// Keeps an answer in the place of an earlier one.
pub async fn keep(
    db: &impl ConnectionTrait,
    job_id: i64,
    submission_key: &str,
    answer: Vec<u8>,
) -> Result<(), Error> {
    let row = ActiveModel {
        job_id: Set(job_id),
        submission_key: Set(submission_key.to_owned()),
        answer: Set(answer),
    };
    Entity::insert(row)
        .on_conflict(
            OnConflict::column(Column::JobId)
                .update_columns([Column::SubmissionKey, Column::Answer])
                .to_owned(),
        )
        .exec_without_returning(db)
        .await?;
    Ok(())
}

/// The answer to this submission.
pub async fn find(
    db: &impl ConnectionTrait,
    job_id: i64,
    submission_key: &str,
) -> Result<Option<Vec<u8>>, Error> {
    let answer = Entity::find_by_id(job_id)
        .filter(Column::SubmissionKey.eq(submission_key))
        .select_only()
        .column(Column::Answer)
        .into_tuple();
    Ok(answer.one(db).await?)
}

/// Forgets the answers of jobs that have ended.
pub async fn forget(db: &impl ConnectionTrait) -> Result<(), Error> {
    let waiting = [JobStatus::Pending, JobStatus::Processing];
    let ended = Query::select()
        .expr(Expr::val(1))
        .from(job::Entity)
        .and_where(Expr::col((job::Entity, job::Column::Id)).equals((Entity, Column::JobId)))
        .and_where(job::Column::Status.is_not_in(waiting))
        .to_owned();
    Entity::delete_many()
        .filter(Expr::exists(ended))
        .exec(db)
        .await?;
    Ok(())
}
