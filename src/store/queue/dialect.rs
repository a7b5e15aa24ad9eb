use sea_orm::{
    ConnectionTrait, DbBackend, EntityTrait, Iterable, Statement, Value, sea_query::Iden as _,
};

use crate::{
    domain::{
        Error,
        job::{Attempts, Transition},
    },
    entity::job::{Column, Entity, Model},
    store::Transaction,
};

/// How the two databases say the same.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    backend: DbBackend,
}

impl Dialect {
    pub(super) fn of(db: &impl ConnectionTrait) -> Self {
        Self {
            backend: db.get_database_backend(),
        }
    }

    /// The time in parameter `given`, or the database's when it is NULL.
    pub(super) fn now(self, given: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!("COALESCE({given}::timestamptz, statement_timestamp())"),
            _ => format!("strftime('%Y-%m-%dT%H:%M:%f+00:00', COALESCE({given}, 'now'))"),
        }
    }

    /// That time and the seconds in parameter `seconds`.
    pub(super) fn after(self, given: &str, seconds: &str) -> String {
        match self.backend {
            DbBackend::Postgres => {
                format!("({} + make_interval(secs => {seconds}))", self.now(given))
            }
            _ => format!(
                "strftime('%Y-%m-%dT%H:%M:%f+00:00', COALESCE({given}, 'now'), {seconds} || ' seconds')"
            ),
        }
    }

    /// What a transition sets, at the time in parameter `given`. What it needs beside, such as a new lease, its statement
    /// adds.
    pub(super) fn assignments(self, transition: Transition, given: &str) -> String {
        let (rule, now) = (transition.rule(), self.now(given));
        let mut set = format!(
            "status = '{}', revision = revision + 1, updated_at = {now}",
            rule.to.as_str()
        );
        set += match rule.attempts {
            Attempts::Begin => ", attempt = attempt + 1",
            Attempts::Keep => "",
            Attempts::TakeBack => ", attempt = attempt - 1",
        };
        if rule.begins_attempt() {
            set += &format!(", started_at = {now}");
        }
        if rule.ends_attempt() {
            set += ", lease_token = NULL, lease_expires_at = NULL, progress_message = NULL, progress_preview = NULL";
        }
        if rule.ends_job() {
            set += &format!(", completed_at = {now}");
        } else {
            set += ", progress = 0";
        }
        set
    }

    /// SQLite has one writer and so nothing to skip.
    pub(super) fn skip_locked(self) -> &'static str {
        match self.backend {
            DbBackend::Postgres => "FOR UPDATE SKIP LOCKED",
            _ => "",
        }
    }

    /// All columns, the enums as text, which is how the entity reads them.
    pub(super) fn columns(self) -> String {
        let column = |column: Column| match column {
            Column::Status | Column::Category => {
                format!("CAST({0} AS TEXT) AS {0}", column.unquoted())
            }
            _ => column.unquoted().to_owned(),
        };
        Column::iter().map(column).collect::<Vec<_>>().join(", ")
    }

    pub(super) async fn rows(
        self,
        tx: &Transaction,
        statement: String,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<Model>, Error> {
        let statement = Statement::from_sql_and_values(self.backend, statement, values);
        Ok(Entity::find().from_raw_sql(statement).all(tx).await?)
    }

    pub(super) async fn execute(
        self,
        db: &impl ConnectionTrait,
        statement: String,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<u64, Error> {
        let statement = Statement::from_sql_and_values(self.backend, statement, values);
        Ok(db.execute_raw(statement).await?.rows_affected())
    }
}

/// The rows that may make a transition. Literals, since a partial index serves no query whose condition is a parameter.
pub(super) fn condition(transition: Transition) -> String {
    let rule = transition.rule();
    let live = if rule.needs_live() {
        " AND deleted_at IS NULL"
    } else {
        ""
    };
    format!("status = '{}'{live}", rule.from.as_str())
}
