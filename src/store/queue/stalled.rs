//! Which running jobs have a worker that is late to say that it still runs them, see docs/domain.md#attempts.

use std::{collections::BTreeSet, time::Duration};

use sea_orm::{ConnectionTrait, Statement, Value};

use crate::domain::Error;

use super::{Now, dialect::Dialect};

/// Those of these jobs that run and whose lease ends within `left`.
pub async fn stalled(
    db: &impl ConnectionTrait,
    job_ids: impl IntoIterator<Item = i64>,
    left: Duration,
    now: Now,
) -> Result<BTreeSet<i64>, Error> {
    let sql = Dialect::of(db);
    let statement = format!(
        "SELECT job.id FROM generation_jobs AS job
         WHERE job.id {ids} AND job.status = 'processing' AND job.lease_expires_at < {late}",
        ids = sql.one_of("$3"),
        late = sql.after("$1", "$2"),
    );
    let values: [Value; 3] = [now.into(), left.as_secs_f64().into(), sql.list(job_ids)];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), statement, values);
    let rows = db.query_all_raw(statement).await?;
    let ids = rows.iter().map(|row| row.try_get_by_index(0));
    Ok(ids.collect::<Result<_, _>>()?)
}
