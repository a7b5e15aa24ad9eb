//! How many calls callers have left, which all servers of a database share: the generic cell rate algorithm (ITU-T I.371), by the
//! database's clock.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement};

use crate::domain::Error;

use super::queue::{Now, dialect::Dialect};

const MINUTE: i64 = 60_000_000;

/// Whose calls are counted, and how many a minute he may make.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'a> {
    /// Such as `user:7`.
    pub caller: &'a str,
    /// Of the calls.
    pub class: &'static str,
    /// More than zero.
    pub per_minute: u32,
}

impl Counted<'_> {
    /// The time in which so many calls are regained, in microseconds.
    fn time_of(&self, calls: u32) -> i64 {
        MINUTE * i64::from(calls) / i64::from(self.per_minute)
    }
}

/// Takes so many calls, not more than a minute has, from what is left. If there are fewer nothing is taken, and the answer is after
/// what time there is one.
pub async fn take(
    db: &impl ConnectionTrait,
    counted: Counted<'_>,
    calls: u32,
    now: Now,
) -> Result<Option<Duration>, Error> {
    let cost = counted.time_of(calls);
    // What stands there as `excluded` is as if nothing had been taken before.
    let statement = format!(
        "INSERT INTO generation_rates AS rate (caller, class, whole_at) SELECT $1, $2, {now} + $3 WHERE TRUE
         ON CONFLICT (caller, class) DO UPDATE
             SET whole_at = CASE WHEN rate.whole_at > excluded.whole_at - $3 THEN rate.whole_at + $3 ELSE excluded.whole_at END
             WHERE rate.whole_at + $3 <= excluded.whole_at - $3 + {MINUTE} OR rate.whole_at <= excluded.whole_at - $3
         RETURNING whole_at",
        now = Dialect::of(db).microseconds("$4"),
    );
    let backend = db.get_database_backend();
    let (caller, class) = (counted.caller.into(), counted.class.into());
    let values = [caller, class, cost.into(), now.into()];
    let statement = Statement::from_sql_and_values(backend, statement, values);
    match db.query_one_raw(statement).await? {
        Some(_) => Ok(None),
        None => wait(db, counted, now).await.map(Some),
    }
}

/// How long until one call is left.
async fn wait(
    db: &impl ConnectionTrait,
    counted: Counted<'_>,
    now: Now,
) -> Result<Duration, Error> {
    let statement = format!(
        "SELECT whole_at - {now} AS ahead FROM generation_rates WHERE caller = $1 AND class = $2",
        now = Dialect::of(db).microseconds("$3"),
    );
    let values = [counted.caller.into(), counted.class.into(), now.into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), statement, values);
    let row = db.query_one_raw(statement).await?;
    let ahead: i64 = row.map_or(Ok(0), |row| row.try_get("", "ahead"))?;
    let wait = ahead + counted.time_of(1) - MINUTE;
    Ok(Duration::from_micros(u64::try_from(wait).unwrap_or(0)))
}

/// Forgets callers who have all their calls again.
pub async fn forget(db: &impl ConnectionTrait, now: Now) -> Result<(), Error> {
    let now_in_database = Dialect::of(db).microseconds("$1");
    let statement = format!("DELETE FROM generation_rates WHERE whole_at <= {now_in_database}");
    let values = [now.into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), statement, values);
    db.execute_raw(statement).await?;
    Ok(())
}
