//! `generation_job_answers`: what services have told of tasks that they cannot be asked for.

use sea_orm::entity::prelude::*;

/// The last answer of a job's service, forgotten when the job has ended.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "generation_job_answers")]
pub struct Model {
    /// The job whose task it tells of.
    #[sea_orm(primary_key, auto_increment = false)]
    pub job_id: i64,
    /// The job's when it came; another submission has not heard it.
    pub submission_key: String,
    /// As it came.
    pub answer: Vec<u8>,
}

/// None is declared: a query says what it joins on.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
