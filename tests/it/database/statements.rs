//! How often the hot paths go to the database and back, counted on the wire.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atelier::domain::job::AttemptEnd;
use atelier::domain::{Caller, Checks, RequestDraft, WatchCursor};
use atelier::store::queue::{self, Lease};
use atelier::store::{self, Pool};
use futures::future::join_all;
use futures::{StreamExt, poll};
use sea_orm::sqlx::ConnectOptions;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tracing::field::Field;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use url::Url;

use crate::support::bench::{Bench, capability, lease, overloaded};
use crate::support::database::{Backend, TestDatabase};
use crate::support::server::within;

/// What passed by, one entry a round trip: the text of a statement.
type Log = Arc<Mutex<Vec<String>>>;

/// Stands between the program and PostgreSQL, and notes the statements that pass by.
pub(super) struct Wire {
    pub(super) url: String,
    log: Log,
    accepting: AbortHandle,
}

impl Wire {
    pub(super) async fn before(db: &TestDatabase) -> Self {
        let mut url = Url::parse(&db.url).unwrap();
        let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port()))
            .unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        let log = Log::default();
        let noted = log.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(pass(client, server, noted.clone()));
            }
        });
        Self {
            url: url.into(),
            log,
            accepting: accepting.abort_handle(),
        }
    }

    /// The statements since the last call. The driver has a ping of its own for a connection that comes back, which is
    /// under way while the caller goes on.
    pub(super) fn take(&self) -> Vec<String> {
        let mut trips = std::mem::take(&mut *self.log.lock().unwrap());
        trips.retain(|statement| !statement.is_empty());
        trips
    }

    fn pings(&self) -> usize {
        let log = self.log.lock().unwrap();
        log.iter().filter(|statement| statement.is_empty()).count()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(client: TcpStream, server: TcpStream, log: Log) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut started = false;
    let mut texts = HashMap::new();
    let mut running = String::new();
    while let Some((kind, message)) = read_message(&mut from_client, &mut started).await {
        match kind {
            Some(b'Q') => log.lock().unwrap().push(text(&message, 5)),
            Some(b'P') => {
                let name = text(&message, 5);
                texts.insert(name.clone(), text(&message, 6 + name.len()));
            }
            Some(b'B') => {
                let portal = text(&message, 5);
                let name = text(&message, 6 + portal.len());
                running = texts.get(&name).cloned().unwrap_or_default();
            }
            Some(b'S') => log.lock().unwrap().push(std::mem::take(&mut running)),
            _ => {}
        }
        if to_server.write_all(&message).await.is_err() {
            return;
        }
    }
}

/// PostgreSQL manual, 55.7: a type, except in the messages until the start-up one is through, and a length that counts
/// itself.
async fn read_message(
    from: &mut (impl AsyncRead + Unpin),
    started: &mut bool,
) -> Option<(Option<u8>, Vec<u8>)> {
    const VERSION_3: [u8; 4] = 196_608_i32.to_be_bytes();
    let mut message = vec![0; if *started { 5 } else { 4 }];
    from.read_exact(&mut message).await.ok()?;
    let kind = started.then_some(message[0]);
    let length: [u8; 4] = message[message.len() - 4..].try_into().unwrap();
    let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
    from.read_exact(&mut rest).await.ok()?;
    *started |= rest.starts_with(&VERSION_3);
    message.extend(rest);
    Some((kind, message))
}

/// The text from there up to the next zero.
fn text(message: &[u8], from: usize) -> String {
    let bytes = message[from..].iter().take_while(|byte| **byte != 0);
    String::from_utf8(bytes.copied().collect()).unwrap()
}

/// The use cases behind the wire, with one connection, on which each statement has been prepared by a first round.
async fn bench() -> (TestDatabase, Wire, Bench) {
    let db = TestDatabase::create(Backend::Postgres).await;
    let wire = Wire::before(&db).await;
    let bench = Bench::at(&wire.url, 1).await;
    (db, wire, bench)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_a_hundred_requests_asks_once_for_all_of_them() {
    let (_db, wire, bench) = bench().await;
    let mut ids = BTreeSet::new();
    for _ in 0..100 {
        ids.insert(bench.request(1, 0).await[0].request_id);
    }
    let watch = bench
        .app
        .watch_requests(Caller::TrustedService, ids, WatchCursor::default());
    let mut watch = watch.await.unwrap();
    wire.take();
    for _ in 0..100 {
        within(watch.next()).await.unwrap().unwrap();
    }
    // One look, and seven batches of events, jobs, requests, their counts, and why jobs wait.
    assert_eq!(wire.take().len(), 1 + 7 * 5);

    let claimed = bench.claim(1).await;
    wire.take();
    let news = within(watch.next()).await.unwrap().unwrap();
    assert_eq!(news.job.unwrap().id, claimed[0].id);
    assert_eq!(wire.take().len(), 1 + 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_s_whole_life_takes_few_round_trips_and_none_after_the_commit() {
    let (_db, wire, bench) = bench().await;
    for round in 0..2 {
        wire.take();
        let jobs = bench.request(1, 0).await;
        let creating = wire.take();
        let claimed = within(bench.claim(1)).await;
        assert_eq!(claimed[0].id, jobs[0].id);
        let claiming = wire.take();
        bench.complete(&claimed[0]).await.unwrap();
        let completing = wire.take();
        if round == 0 {
            continue;
        }
        for (what, trips, most) in [
            ("creating", creating, 6),
            ("claiming", claiming, 4),
            ("completing", completing, 6),
        ] {
            assert!(trips.len() <= most, "{what}: {trips:#?}");
            assert_eq!(trips.last().map(String::as_str), Some("COMMIT"), "{what}");
        }
    }
}

/// All run on one thread, so that what is polled comes before anything that the database says.
#[tokio::test]
async fn thirty_two_callers_at_once_share_a_transaction() {
    let (_db, wire, bench) = bench().await;
    know_users(&bench).await;
    let checks = Checks::default();
    let create = |user_id| {
        let draft = RequestDraft {
            user_id,
            ..bench.draft("x")
        };
        let caller = Caller::TrustedService;
        Box::pin(bench.app.create_request(caller, draft, &checks))
    };
    within(create(FIRST)).await.unwrap();
    let (created, trips) = at_once(&wire, std::iter::once(FIRST).chain(users()).map(create)).await;
    assert!(created.iter().all(Result::is_ok));
    let count = |word| trips.iter().filter(|text| text.starts_with(word)).count();
    assert_eq!((count("BEGIN"), count("COMMIT")), (2, 2), "{trips:#?}");
    // One more says how long locks are waited for.
    assert!(trips.len() <= 6 + 7, "{trips:#?}");

    for end in ends() {
        let claimed = within(bench.claim(33)).await;
        assert_eq!(claimed.len(), 33);
        let leases: Vec<Lease> = claimed.iter().map(lease).collect();
        let calls = leases
            .iter()
            .map(|lease| Box::pin(bench.app.end_attempt(lease, &end)));
        let (ended, trips) = at_once(&wire, calls).await;
        assert!(ended.iter().all(|ended| matches!(ended, Ok(Some(_)))));
        assert!(trips.len() <= 5 + 6, "{trips:#?}");
    }

    let claimed = within(bench.claim(33)).await;
    assert_eq!(claimed.len(), 33);
    let calls = claimed.iter().map(|job| Box::pin(bench.complete(job)));
    let (completed, trips) = at_once(&wire, calls).await;
    assert!(completed.iter().all(Option::is_some));
    assert!(trips.len() <= 6 + 7, "{trips:#?}");
}

/// Ways in which an attempt leaves its job in the queue.
fn ends() -> [AttemptEnd; 2] {
    let back = AttemptEnd::HandBack { keep_task: false };
    [overloaded(Duration::ZERO), back]
}

/// Has the first of these under way when the others come, and counts the round trips of all.
async fn at_once<T, F: Future<Output = T> + Unpin>(
    wire: &Wire,
    mut calls: impl Iterator<Item = F>,
) -> (Vec<T>, Vec<String>) {
    wire.take();
    let mut first = calls.next().unwrap();
    assert!(poll!(&mut first).is_pending());
    while wire.log.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let mut others = Box::pin(join_all(calls));
    assert!(poll!(&mut others).is_pending());
    let mut answers = vec![within(first).await];
    answers.extend(within(others).await);
    (answers, wire.take())
}

/// As many as call at once, all of whom are stored together: those of odd users are by themselves.
fn users() -> impl Iterator<Item = i64> {
    (2..=64).step_by(2)
}

/// Another such.
const FIRST: i64 = 66;

async fn know_users(bench: &Bench) {
    let table = &bench.app.settings.users;
    for id in users() {
        let provisioned = store::user::provision(bench.app.store.writer(), table, id);
        provisioned.await.unwrap();
    }
}

/// SQLite has no wire: the driver tells its statements, but for those that begin and end a transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_s_whole_life_takes_as_few_statements_on_sqlite() {
    const BEGIN_AND_COMMIT: usize = 2;
    let statements = Statements::default();
    tracing_subscriber::registry()
        .with(statements.clone())
        .init();
    let db = TestDatabase::create(Backend::Sqlite).await;
    let bench = Bench::at(&db.url, 1).await;
    let template_id = Some(bench.template().await);
    for pool in [bench.app.store.writer(), bench.app.store.reader()] {
        tell_statements(pool).await;
    }
    // A new user is added, and the connections are set up.
    bench.request(1, 0).await;
    bench.claim(1).await;
    statements.take();
    for round in 0..2 {
        let mut taken = Vec::new();
        bench.request(1, 0).await;
        taken.push(("creating", statements.take(), 6));
        let claimed = bench.claim(1).await;
        taken.push(("claiming", statements.take(), 4));
        bench.complete(&claimed[0]).await.unwrap();
        taken.push(("completing", statements.take(), 6));
        let request = RequestDraft {
            template_id,
            idempotency_key: format!("key {round}"),
            ..bench.draft("x")
        };
        let checks = Checks::default();
        let created = bench
            .app
            .create_request(Caller::TrustedService, request, &checks);
        created.await.unwrap();
        taken.push(("creating with a key and a template", statements.take(), 8));
        bench.claim(1).await;
        statements.take();
        for (what, told, most) in taken {
            assert!(told.len() > 1, "{what}: {told:#?}");
            assert!(told.len() + BEGIN_AND_COMMIT <= most, "{what}: {told:#?}");
        }
    }
    know_users(&bench).await;
    statements.take();
    let checks = Checks::default();
    let create = |user_id| {
        let draft = RequestDraft {
            user_id,
            ..bench.draft("x")
        };
        bench
            .app
            .create_request(Caller::TrustedService, draft, &checks)
    };
    let created = within(join_all(users().map(create))).await;
    assert!(created.iter().all(Result::is_ok));
    // As they are asked for one after the other, some may be under way when the others come.
    let told = statements.take();
    assert!((4..=3 * 4).contains(&told.len()), "{told:#?}");

    for end in ends() {
        let claimed = bench.claim(32).await;
        assert_eq!(claimed.len(), 32);
        let leases: Vec<Lease> = claimed.iter().map(lease).collect();
        let calls = leases
            .iter()
            .map(|lease| bench.app.end_attempt(lease, &end));
        statements.take();
        let ended = within(join_all(calls)).await;
        assert!(ended.iter().all(|ended| matches!(ended, Ok(Some(_)))));
        let told = statements.take();
        assert!((3..=3 * 3).contains(&told.len()), "{told:#?}");
    }
}

/// Has the driver tell the statements of a pool from now on, and of no other one.
async fn tell_statements(pool: &Pool) {
    let pool = pool.open_another().await.unwrap();
    let pool = pool.get_sqlite_connection_pool();
    let quick = Duration::from_secs(3600);
    let options = pool.connect_options().as_ref().clone();
    let options = options.log_statements("debug".parse().unwrap());
    pool.set_connect_options(options.log_slow_statements("off".parse().unwrap(), quick));
    pool.acquire().await.unwrap().close().await.unwrap();
}

/// What the driver has told.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<Vec<String>>>);

impl Statements {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl<S: Subscriber> Layer<S> for Statements {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut told = String::new();
        event.record(&mut |field: &Field, value: &dyn Debug| {
            if field.name() == "summary" {
                told = format!("{value:?}");
            }
        });
        self.0.lock().unwrap().push(told);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_and_a_template_add_one_round_trip_each() {
    let (_db, wire, bench) = bench().await;
    let template_id = bench.template().await;
    for key in ["first", "second"] {
        wire.take();
        let request = RequestDraft {
            template_id: Some(template_id),
            idempotency_key: key.to_owned(),
            ..bench.draft("x")
        };
        let checks = Checks::default();
        let created = bench
            .app
            .create_request(Caller::TrustedService, request, &checks);
        within(created).await.unwrap();
    }
    let trips = wire.take();
    assert!(trips.len() <= 8, "{trips:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_take_as_many_round_trips_as_one() {
    let (_db, wire, bench) = bench().await;
    let mut trips = Vec::new();
    for variations in [1, 16, 1, 16] {
        wire.take();
        bench.request(variations, 0).await;
        trips.push(wire.take().len());
        assert_eq!(bench.claim(16).await.len(), variations as usize);
        trips.push(wire.take().len());
    }
    assert_eq!(trips[4..], [6, 4, 6, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_many_attempts_still_have_their_jobs_takes_one_round_trip() {
    let (_db, wire, bench) = bench().await;
    bench.request(16, 0).await;
    let claimed = bench.claim(16).await;
    let mut leases: Vec<Lease> = claimed.iter().map(lease).collect();
    bench.complete(&claimed[3]).await.unwrap();
    leases[5].token = "another".to_owned();
    wire.take();
    let held = queue::held(bench.app.store.reader(), leases.iter()).await;
    assert_eq!(wire.take().len(), 1);
    let lost = [leases[3].clone(), leases[5].clone()];
    leases.retain(|lease| !lost.contains(lease));
    let held = held.unwrap();
    assert!(leases.iter().all(|lease| held.contains(lease)));
    assert!(lost.iter().all(|lease| !held.contains(lease)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_in_use_is_not_asked_whether_it_lives() {
    let (_db, wire, bench) = bench().await;
    bench.request(1, 0).await;
    let before = wire.pings();
    for _ in 0..10 {
        bench.request(1, 0).await;
    }
    // One for each connection that comes back.
    let pings = wire.pings() - before;
    assert!(pings <= 11, "{pings} pings");
}

/// More important than what the worker can run, and far more.
const QUEUE: &str = "
    INSERT INTO generation_jobs (request_id, user_id, feature_id, category, input_json, provider, priority)
        SELECT id, user_id, feature_id, 'image', '{}', CASE WHEN n % 5 = 0 THEN 'builtin' ELSE 'other' END,
            CASE WHEN n % 5 = 0 THEN 0 ELSE 10 END
        FROM generation_requests, generate_series(1, 20000) AS n;
    ANALYZE";

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_walks_past_no_job_that_it_cannot_run_and_sorts_none() {
    let (db, wire, bench) = bench().await;
    bench.request(1, 0).await;
    let database = db.connect().await;
    database.execute_unprepared(QUEUE).await.unwrap();
    wire.take();
    let claimable = ["builtin", "another"].map(capability);
    assert_eq!(within(bench.claim_as(1, &claimable)).await.len(), 1);
    let claim = wire
        .take()
        .into_iter()
        .find(|text| text.contains("WITH next"));
    let prepare = format!(
        "SET plan_cache_mode = force_generic_plan; PREPARE claim AS {}",
        claim.unwrap()
    );
    database.execute_unprepared(&prepare).await.unwrap();
    let plan = "EXPLAIN EXECUTE claim(NULL, 'worker', 'token', 30, 1, 'builtin', 'another')";
    let plan = Statement::from_string(DbBackend::Postgres, plan);
    let lines = database.query_all_raw(plan).await.unwrap();
    let line = |line: sea_orm::QueryResult| line.try_get_by_index::<String>(0).unwrap();
    let plan = lines.into_iter().map(line).collect::<Vec<_>>().join("\n");
    let queues = plan
        .matches("Index Scan using idx_generation_jobs_provider_claim")
        .count();
    assert_eq!(queues, claimable.len(), "{plan}");
    assert!(plan.contains("Merge Append"), "{plan}");
    assert!(!plan.contains("Seq Scan on generation_jobs"), "{plan}");
    assert!(
        !plan.contains("-> Sort") && !plan.contains("->  Sort"),
        "{plan}"
    );
}
