//! The order of the queue, see docs/domain.md#the-queue: by priority, and among equals in turn, so that no user waits for all
//! that another has asked for.
//!
//! Users take turns by stride scheduling: a job's pass is one more than that of the job before it of its user, and at least
//! that of the job whose turn it is. It is chosen once, by a few looks into the indexes, and a claim goes by the order that the
//! index has.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ActiveValue::Set, ConnectionTrait, Statement, Value};

use crate::{
    domain::{Error, job::Capability},
    entity::job::{ActiveModel, Model},
    store::{
        Transaction,
        rows::{Computed, Rows},
    },
};

use super::{concurrency::MEDIA_TYPES, dialect::Dialect, paused, steps::distinct};

/// By which jobs of one priority come after each other, as the indexes have it. Where nobody else waits it is the id: whoever
/// comes first goes first.
pub(super) const TURN: &str = "COALESCE(job.pass, job.id)";

/// Most jobs that are counted before one.
pub const MOST_COUNTED: u64 = 10_000;

/// What waits for one kind of worker. The texts are expressions.
pub(super) struct Queue {
    pub(super) provider: String,
    pub(super) category: String,
}

impl Queue {
    /// Each of [`queues`].
    pub(super) fn of_all() -> Self {
        Self {
            provider: "providers.value".to_owned(),
            category: "categories.value".to_owned(),
        }
    }

    /// Whether a job is of the queue.
    pub(super) fn holds(&self, sql: Dialect) -> String {
        let Self { provider, category } = self;
        format!(
            "{provider_of} = {provider} AND job.category = {category}",
            provider_of = sql.provider_of("job")
        )
    }

    /// `what` of the first of its next jobs by this order, of those that the condition leaves, which begins with AND or is empty.
    fn first(&self, sql: Dialect, what: &str, condition: &str, order: &str) -> String {
        format!(
            "(SELECT {what} FROM generation_jobs AS job {indexed}
              WHERE {ready} AND {of_queue}{condition} ORDER BY {order} LIMIT 1)",
            indexed = sql.indexed_by(READY),
            ready = ready(sql),
            of_queue = self.holds(sql),
        )
    }

    /// The turn of its next job of this priority.
    fn head(&self, sql: Dialect, priority: &str) -> String {
        self.first(sql, TURN, &format!(" AND job.priority = {priority}"), TURN)
    }
}

/// The indexes of the order.
pub(super) const READY: &str = "idx_generation_jobs_provider_claim";
const LAST_OF_USER: &str = "idx_generation_jobs_last_of_user";

/// What a worker may take, in the words of its index; what an older program tries again later may not be due.
pub(super) fn ready(sql: Dialect) -> String {
    format!("{} AND job.held = FALSE", queued(sql))
}

/// How many jobs are before this one, which is in the queue, at most [`MOST_COUNTED`].
pub async fn jobs_before(db: &impl ConnectionTrait, job: &Model) -> Result<u64, Error> {
    let sql = Dialect::of(db);
    let queue = Queue {
        provider: "$1".to_owned(),
        category: sql.category(job.category),
    };
    // Each is a range of the index.
    let ranges = [
        "job.priority > $2".to_owned(),
        format!("job.priority = $2 AND {TURN} < $3"),
        format!("job.priority = $2 AND {TURN} = $3 AND job.id < $4"),
    ];
    let some = ranges.map(|range| {
        format!(
            "SELECT id FROM (
                 SELECT job.id FROM generation_jobs AS job {indexed} WHERE {ready} AND {of_queue} AND {range} LIMIT {MOST_COUNTED}
             ) AS found",
            indexed = sql.indexed_by(READY),
            ready = ready(sql),
            of_queue = queue.holds(sql),
        )
    });
    let statement = format!(
        "SELECT COUNT(*) AS jobs FROM ({}) AS earlier",
        some.join(" UNION ALL ")
    );
    let values: [Value; 4] = [
        job.provider().unwrap_or_default().into(),
        job.priority.into(),
        job.pass.unwrap_or(job.id).into(),
        job.id.into(),
    ];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), statement, values);
    let row = db.query_one_raw(statement).await?;
    let jobs = row.map(|row| row.try_get::<i64>("", "jobs")).transpose()?;
    let jobs = u64::try_from(jobs.unwrap_or_default()).unwrap_or_default();
    Ok(jobs.min(MOST_COUNTED))
}

/// How many jobs of each of these users wait, but for previews.
pub async fn waiting(
    db: &impl ConnectionTrait,
    users: BTreeSet<i64>,
) -> Result<BTreeMap<i64, i64>, Error> {
    if users.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = Dialect::of(db);
    let statement = format!(
        "SELECT given.id, (
             SELECT COUNT(*) FROM generation_jobs AS job {by_user} WHERE {waits} AND job.user_id = given.id
                 AND job.request_id NOT IN (SELECT id FROM generation_requests WHERE is_preview = TRUE)
         ) AS jobs FROM {users} AS given",
        by_user = sql.indexed_by(LAST_OF_USER),
        waits = sql.waiting("job"),
        users = sql.rows_of("$1"),
    );
    let users = [sql.list(users)];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), statement, users);
    let mut waiting = BTreeMap::new();
    for row in db.query_all_raw(statement).await? {
        waiting.insert(row.try_get("", "id")?, row.try_get("", "jobs")?);
    }
    Ok(waiting)
}

/// The jobs of a queue in the order in which workers take them, at most [`MOST_COUNTED`].
pub async fn first_in_line(db: &impl ConnectionTrait, of: &Capability) -> Result<Vec<i64>, Error> {
    let sql = Dialect::of(db);
    let queue = Queue {
        provider: "$1".to_owned(),
        category: sql.category(of.category),
    };
    // The number as a query, as in `Dialect::looked_at`: the index is read in order then.
    let statement = format!(
        "SELECT job.id FROM generation_jobs AS job {indexed} WHERE {ready} AND {of_queue}
         ORDER BY job.priority DESC, {TURN}, job.id LIMIT (SELECT {MOST_COUNTED})",
        indexed = sql.indexed_by(READY),
        ready = ready(sql),
        of_queue = queue.holds(sql),
    );
    let values = [of.provider.as_str().into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), statement, values);
    let rows = db.query_all_raw(statement).await?;
    let ids = rows.iter().map(|row| row.try_get_by_index(0));
    Ok(ids.collect::<Result<_, _>>()?)
}

/// What waits in the indexes of the order, the jobs that are held among it.
pub(super) fn queued(sql: Dialect) -> String {
    let waits = sql.waiting("job");
    format!("{waits} AND job.parked = FALSE AND job.paused = FALSE")
}

/// `band`, for a recursive WITH: the `priority` whose next job of these queues is the oldest, but for those that are paused.
pub(super) fn longest(sql: Dialect, queues: &[Queue]) -> String {
    let listed = queues
        .iter()
        .map(|Queue { provider, category }| format!("({provider}, {category})"));
    let each = Queue {
        provider: "queue.provider".to_owned(),
        category: "queue.category".to_owned(),
    };
    let first = |what, condition, order| each.first(sql, what, condition, order);
    format!(
        "queues (provider, category) AS (VALUES {listed}),
         priorities (provider, category, value) AS (
             SELECT provider, category, {highest} FROM queues AS queue
             UNION ALL SELECT provider, category, {next} FROM priorities AS queue WHERE value IS NOT NULL
         ),
         band AS MATERIALIZED (
             SELECT value AS priority FROM priorities AS queue WHERE value IS NOT NULL AND NOT {closed} ORDER BY {head} LIMIT 1
         )",
        listed = listed.collect::<Vec<_>>().join(", "),
        highest = first("job.priority", "", "job.priority DESC"),
        next = first(
            "job.priority",
            " AND job.priority < queue.value",
            "job.priority DESC"
        ),
        closed = paused::closes(&each.provider),
        head = first(
            "job.id",
            " AND job.priority = queue.value",
            &format!("{TURN}, job.id")
        ),
    )
}

/// `providers (value)` and `categories (value)`, for a recursive WITH: what jobs wait for is some of both, and the provider
/// behind the last is NULL.
pub(super) fn queues(sql: Dialect) -> String {
    let provider = sql.provider_of("job");
    let providers = distinct("providers", &provider, &queued(sql), &sql.indexed_by(READY));
    let categories = MEDIA_TYPES.map(|category| format!("({})", sql.category(category)));
    format!(
        "{providers}, categories (value) AS (VALUES {})",
        categories.join(", ")
    )
}

/// Adds jobs, each behind those of its user that wait for the same workers with the same priority, and returns them in no
/// order. All of them have the same columns set.
pub(in crate::store) async fn join(
    tx: &Transaction,
    mut jobs: Vec<ActiveModel>,
) -> Result<Vec<Model>, Error> {
    let mut ends = BTreeMap::new();
    for job in &mut jobs {
        let behind: &mut i64 = ends.entry(end_of(job)?).or_default();
        job.pass = Set(Some(*behind));
        *behind += 1;
    }
    let computed = Computed {
        with: &line(Dialect::of(tx)),
        column: "pass",
        value: "(SELECT line.turn FROM line WHERE line.user_id = given.user_id AND line.provider = COALESCE(given.provider, '')
                     AND line.category = given.category AND line.priority = given.priority) + given.pass",
    };
    Ok(Rows::new(jobs).insert_with(tx, Some(computed)).await?)
}

/// Where a new job comes: behind others of this user, provider, type of media and priority.
fn end_of(job: &ActiveModel) -> Result<(i64, String, &'static str, i32), Error> {
    let ActiveModel {
        user_id: Set(user_id),
        provider: Set(provider),
        category: Set(category),
        priority: Set(priority),
        ..
    } = job
    else {
        return Err(Error::internal("a new job does not tell where it belongs"));
    };
    let provider = provider.clone().unwrap_or_default();
    Ok((*user_id, provider, category.as_str(), *priority))
}

/// `line (user_id, provider, category, priority, turn)`, for a recursive WITH: the turn of the first of the `given` jobs of
/// these; NULL, for its id, where nobody waits.
///
/// Where no job of the queue is ready the turn is that of the other queues of the priority, the one that is farthest: workers may
/// have both, and one that stands still since its generator is away counts for nothing.
fn line(sql: Dialect) -> String {
    let own = Queue {
        provider: "asked.provider".to_owned(),
        category: "asked.category".to_owned(),
    };
    let other = Queue::of_all();
    format!(
        "{queues},
         asked (user_id, provider, category, priority) AS MATERIALIZED (
             SELECT DISTINCT given.user_id, COALESCE(given.provider, ''), given.category, given.priority FROM given
         ),
         line (user_id, provider, category, priority, turn) AS MATERIALIZED (
             SELECT asked.user_id, asked.provider, asked.category, asked.priority, (
                 SELECT MAX(turn) FROM (
                     SELECT (
                         SELECT {TURN} FROM generation_jobs AS job {by_user}
                         WHERE {waits} AND job.paused = FALSE AND job.user_id = asked.user_id AND {of_queue} AND job.priority = asked.priority
                         ORDER BY {TURN} DESC LIMIT 1
                     ) + 1 AS turn
                     UNION ALL SELECT COALESCE({head}, (
                         SELECT MAX(turn) FROM (
                             SELECT {elsewhere} AS turn FROM providers CROSS JOIN categories WHERE providers.value IS NOT NULL
                         ) AS heads
                     ))
                 ) AS least
             ) FROM asked
         )",
        queues = queues(sql),
        by_user = sql.indexed_by(LAST_OF_USER),
        waits = sql.waiting("job"),
        of_queue = own.holds(sql),
        head = own.head(sql, "asked.priority"),
        elsewhere = other.head(sql, "asked.priority"),
    )
}
