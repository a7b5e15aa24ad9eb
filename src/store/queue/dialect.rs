//! The pieces of SQL that the two databases spell differently, and how a transition becomes SQL.

use sea_orm::{
    ConnectionTrait, DbBackend, EntityTrait, Iterable, Statement, Value, sea_query::Iden as _,
};

use crate::{
    domain::{
        Error, MediaType,
        job::{Attempts, Transition},
    },
    entity::job::{Column, Entity, Model},
    store::{
        Transaction,
        one_of::{array, id_list, is_one_of},
    },
};

/// More than a worker has slots, by far more than are ever locked at once.
const LOOKED_AT: u32 = 2_000;

/// What ends with an attempt.
const ENDED: &str = ", lease_token = NULL, lease_expires_at = NULL, progress_message = NULL, progress_preview = NULL";

/// How the two databases say the same.
#[derive(Clone, Copy)]
pub(in crate::store) struct Dialect {
    backend: DbBackend,
}

impl Dialect {
    pub(in crate::store) fn of(db: &impl ConnectionTrait) -> Self {
        Self {
            backend: db.get_database_backend(),
        }
    }

    pub(in crate::store) fn of_backend(backend: DbBackend) -> Self {
        Self { backend }
    }

    /// The time in parameter `given`, or the database's when it is NULL.
    pub(super) fn now(self, given: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!("COALESCE({given}::timestamptz, statement_timestamp())"),
            _ => format!("strftime('%Y-%m-%dT%H:%M:%f+00:00', COALESCE({given}, 'now'))"),
        }
    }

    /// The same time in microseconds since 1970.
    pub(in crate::store) fn microseconds(self, given: &str) -> String {
        self.microseconds_of(&self.now(given))
    }

    /// A time in microseconds since 1970.
    pub(super) fn microseconds_of(self, time: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!("CAST(EXTRACT(EPOCH FROM {time}) * 1000000 AS BIGINT)"),
            _ => format!("CAST(ROUND(unixepoch({time}, 'subsec') * 1000) AS INTEGER) * 1000"),
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
            set += ENDED;
        }
        if rule.ends_job() {
            set += &format!(", completed_at = {now}");
        } else {
            set += ", progress = 0";
        }
        set
    }

    /// The same where each row ends its attempt by a transition of its own, of which `given` tells what it `becomes`, whether it
    /// `ends_job`, and how many attempts are `taken_back`.
    pub(super) fn assignments_of_each(self, given: &str) -> String {
        let now = self.now(given);
        let status = match self.backend {
            DbBackend::Postgres => "CAST(given.becomes AS generation_job_status_enum)",
            _ => "given.becomes",
        };
        format!(
            "status = {status}, revision = revision + 1, updated_at = {now}, attempt = attempt - given.taken_back{ENDED},
             completed_at = CASE WHEN given.ends_job THEN {now} ELSE completed_at END,
             progress = CASE WHEN given.ends_job THEN progress ELSE 0 END"
        )
    }

    /// A type of media.
    pub(super) fn category(self, category: MediaType) -> String {
        match self.backend {
            DbBackend::Postgres => {
                format!(
                    "CAST('{}' AS generation_media_type_enum)",
                    category.as_str()
                )
            }
            _ => format!("'{}'", category.as_str()),
        }
    }

    /// Jobs that wait, in the words of the queue's indexes. On PostgreSQL the specification's indexes are not seen to hold them: to
    /// read all that waits and sort it looks as good while next to nothing does, and a plan is kept when much does.
    pub(super) fn waiting(self, jobs: &str) -> String {
        match self.backend {
            DbBackend::Postgres => {
                format!("(CASE WHEN {jobs}.status = 'pending' THEN {jobs}.deleted_at IS NULL END)")
            }
            _ => condition_of(jobs, Transition::Claim),
        }
    }

    /// Jobs that are out of the queue for their feature's sake, in the words of the index by which they come back in turn, and of no
    /// other.
    pub(super) fn aside(self, jobs: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!(
                "(CASE WHEN {jobs}.paused THEN {jobs}.status = 'pending' AND {jobs}.deleted_at IS NULL END)"
            ),
            _ => format!("{jobs}.paused = TRUE AND {}", self.waiting(jobs)),
        }
    }

    /// Puts a job into the queue at the time in parameter `given`.
    pub(super) fn due_at_once(self, given: &str) -> String {
        format!("run_after = {}, parked = FALSE", self.now(given))
    }

    /// Takes the rows of these tables that nobody has locked, and no others. SQLite has one writer and so nothing to skip.
    pub(in crate::store) fn skip_locked(self, tables: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!("FOR NO KEY UPDATE OF {tables} SKIP LOCKED"),
            _ => String::new(),
        }
    }

    /// Keeps others from removing the rows of a query, and passes over those that somebody removes.
    pub(super) fn shared_unless_locked(self) -> &'static str {
        match self.backend {
            DbBackend::Postgres => "FOR KEY SHARE SKIP LOCKED",
            _ => "",
        }
    }

    /// Locks the rows of a query, as whoever changes them does. SQLite has one writer and so none to keep away.
    pub(in crate::store) fn locked(self) -> &'static str {
        match self.backend {
            DbBackend::Postgres => "FOR NO KEY UPDATE",
            _ => "",
        }
    }

    /// Has SQLite read a table by this index: it takes the one of deletions for whatever is live, which is nearly everything.
    pub(in crate::store) fn indexed_by(self, index: &str) -> String {
        match self.backend {
            DbBackend::Postgres => String::new(),
            _ => format!("INDEXED BY {index}"),
        }
    }

    /// The provider that a job is for. A job of an older program has it in its input only until it is first submitted; one
    /// that names none has the empty text, which no worker has. It is also the first column of an index.
    pub(super) fn provider_of(self, jobs: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!(
                "COALESCE(CAST({jobs}.provider AS TEXT), {jobs}.input_json ->> 'provider', '')"
            ),
            _ => format!(
                "COALESCE({jobs}.provider, json_extract({jobs}.input_json, '$.provider'), '')"
            ),
        }
    }

    /// How many jobs of a feature run at once, as JSON has it; NULL is no limit. It is also in the words of an index.
    pub(super) fn limit_of_feature(self) -> &'static str {
        match self.backend {
            DbBackend::Postgres => "(properties ->> 'max_concurrent_jobs')",
            _ => "json_extract(properties, '$.max_concurrent_jobs')",
        }
    }

    /// Whether a job's input names providers to fall back to.
    pub(super) fn has_fallbacks(self, jobs: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!("{jobs}.input_json -> 'fallbacks' IS NOT NULL"),
            _ => format!("json_extract({jobs}.input_json, '$.fallbacks') IS NOT NULL"),
        }
    }

    /// Most jobs of an ordered queue to look at for as many slots as a parameter says. PostgreSQL passes over locked ones. It
    /// gets the number as a query: it plans for a part of the rows then, and reads them in order instead of sorting all.
    pub(super) fn looked_at(self, slots: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!("(SELECT {LOOKED_AT})"),
            _ => slots.to_owned(),
        }
    }

    /// The first jobs of an ordered `queue` of `id`, `request_id`, `concurrency`, `bounded` and `paused` that nobody has locked and that are still `due`: as
    /// many as parameter `slots` says, locked with their requests, and no others. PostgreSQL gets the number as a query: one that it
    /// knows would make it plan each claim anew, which takes longer than the claim.
    pub(super) fn first_unlocked(self, queue: &str, due: &str, slots: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!(
                "SELECT locked.id, locked.request_id, locked.concurrency, candidate.bounded, candidate.paused FROM ({queue}) AS candidate
                 CROSS JOIN LATERAL (
                     SELECT job.id, job.request_id, job.concurrency FROM generation_jobs AS job
                     JOIN generation_requests AS request ON request.id = job.request_id
                     WHERE job.id = candidate.id AND {due} {skip_locked}
                 ) AS locked LIMIT (SELECT CAST({slots} AS bigint))",
                skip_locked = self.skip_locked("job, request"),
            ),
            _ => format!("{queue} LIMIT {slots}"),
        }
    }

    /// The statement that changes jobs and returns them, with the locks of their requests, which come after those of the
    /// jobs: whoever has them recomputes the requests' statuses.
    pub(super) fn locking_requests(self, update: &str) -> String {
        let columns = self.columns();
        match self.backend {
            DbBackend::Postgres => format!(
                "WITH changed AS ({update} RETURNING generation_jobs.*),
                 locked AS MATERIALIZED (
                     SELECT id FROM generation_requests
                     WHERE id IN (SELECT request_id FROM changed) ORDER BY id FOR NO KEY UPDATE
                 )
                 SELECT {columns} FROM changed WHERE request_id IN (SELECT id FROM locked) ORDER BY id"
            ),
            _ => format!("{update} RETURNING {columns}"),
        }
    }

    /// A query and two changes that see the same rows of `with`, as one call: the rows are those of the query and of the second.
    pub(super) fn all(self, with: &str, query: &str, first: &str, second: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!(
                "{with}, first AS ({first}), second AS ({second}) SELECT * FROM second UNION ALL {query}"
            ),
            // No data is changed within a WITH here, but one call may hold several statements.
            _ => format!("{with} {query}; {with} {first}; {with} {second}"),
        }
    }

    /// Whether the identifier is among those in parameter `given`, a [`Dialect::list`]; one text however many there are.
    pub(in crate::store) fn one_of(self, given: &str) -> String {
        is_one_of(self.backend, given)
    }

    /// The objects of the JSON array in parameter `given`, as rows with these fields, each after which its type stands.
    pub(in crate::store) fn records(self, given: &str, fields: &str) -> String {
        match self.backend {
            DbBackend::Postgres => {
                format!("jsonb_to_recordset(CAST({given} AS jsonb)) AS record ({fields})")
            }
            _ => {
                let names = fields
                    .split(", ")
                    .filter_map(|field| field.split(' ').next());
                let fields = names.map(|name| format!("value ->> '{name}' AS {name}"));
                let fields = fields.collect::<Vec<_>>().join(", ");
                format!("(SELECT {fields} FROM json_each({given})) AS record")
            }
        }
    }

    /// The JSON text in parameter `given`.
    pub(super) fn json(self, given: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!("CAST({given} AS jsonb)"),
            _ => given.to_owned(),
        }
    }

    /// The identifiers of such a list, as rows with an `id`.
    pub(super) fn rows_of(self, given: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!("(SELECT unnest({}) AS id)", array(given, "bigint")),
            _ => format!("(SELECT value AS id FROM json_each({given}))"),
        }
    }

    pub(in crate::store) fn list(self, ids: impl IntoIterator<Item = i64>) -> Value {
        id_list(self.backend, ids)
    }

    /// All columns, the enums as text, which is how the entity reads them.
    pub(super) fn columns(self) -> String {
        self.columns_with("paused", "held")
    }

    /// The same of what a claim has met, which is neither paused nor held itself: with whether its feature is paused, and whether
    /// that has a limit.
    pub(super) fn columns_of_met(self) -> String {
        let met = |column: &str| {
            format!("(SELECT next.{column} FROM next WHERE next.id = generation_jobs.id)")
        };
        self.columns_with(&met("paused"), &met("bounded"))
    }

    fn columns_with(self, paused: &str, held: &str) -> String {
        let column = |column: Column| match column {
            Column::Paused => format!("{paused} AS paused"),
            Column::Held => format!("{held} AS held"),
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

    pub(in crate::store) async fn execute(
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
    condition_of("generation_jobs", transition)
}

/// The same where the jobs have another name in the statement.
pub(super) fn condition_of(jobs: &str, transition: Transition) -> String {
    let rule = transition.rule();
    let live = if rule.needs_live() {
        format!(" AND {jobs}.deleted_at IS NULL")
    } else {
        String::new()
    };
    format!("{jobs}.status = '{}'{live}", rule.from.as_str())
}
