//! How fast requests are taken in on SQLite, which has one writer: beside a loop that commits each of them, on a file of the same
//! folder with the specification's tables alone.

use std::path::Path;
use std::time::{Duration, Instant};

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, ConnectOptions, Connection, SqliteConnection};
use tokio::runtime::Runtime;

use crate::intake::{CONNECTIONS, create};
use crate::report::{Table, median, ratio};
use crate::scale::Scale;
use crate::service::{Service, USERS};

const CALLERS: [usize; 3] = [1, 16, 64];

const SPECIFICATION: &str = include_str!("../../migration/src/sql/m0001_domain/sqlite_up.sql");
const USER: &str = "INSERT INTO users (id) VALUES (?)";
const FEATURE: &str =
    "INSERT INTO generation_features (id, name, category) VALUES (1, 'ends', 'image')";
const REQUEST: &str = "INSERT INTO generation_requests (user_id, feature_id, user_prompt) VALUES (?, 1, 'x') RETURNING id";
const JOB: &str =
    "INSERT INTO generation_jobs (request_id, user_id, feature_id, category, input_json)
     VALUES (?, ?, 1, 'image', '{}')";

/// The databases are not emptied in between: what is in them is found by few steps, and what counts is the disk.
pub(crate) fn measure(scale: &Scale, runtime: &Runtime, _: &Service) {
    let rounds = runtime.block_on(rounds(scale));
    let rates = |of: usize| rounds.iter().map(|round| round[of]).collect::<Vec<_>>();
    let (single, alone) = (rates(0), rates(CALLERS.len()));
    let titles = [
        "Jobs a second taken in on SQLite",
        "Atelier",
        "ratio to 1 caller",
        "a loop of commits",
        "ratio to it",
    ];
    let mut table = Table::new(&titles);
    for (of, callers) in CALLERS.into_iter().enumerate() {
        let ours = rates(of);
        table.row(vec![
            format!("CreateRequest, {callers} callers"),
            format!("{:.0}", median(ours.clone())),
            format!("{:.2}", ratio(&ours, &single)),
            format!("{:.0}", median(alone.clone())),
            format!("{:.2}", ratio(&ours, &alone)),
        ]);
    }
    table.print();
}

/// What each number of callers reaches, and last the loop, in each round.
async fn rounds(scale: &Scale) -> Vec<Vec<f64>> {
    let service = Service::on_sqlite().await;
    let clients = service.clients(CONNECTIONS).await;
    let mut db = specification(&service.folder().join("specification.db")).await;
    let mut rounds = Vec::new();
    for _ in 0..scale.rounds {
        let mut rates = Vec::new();
        for callers in CALLERS {
            rates.push(create(&clients, service.ends, (callers, 1), scale.window).await);
        }
        rates.push(commit_each(&mut db, scale.window).await);
        rounds.push(rates);
    }
    service.stop().await;
    rounds
}

/// As durable as the product's own file.
async fn specification(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut db = options.disable_statement_logging().connect().await.unwrap();
    sqlx::raw_sql(SPECIFICATION).execute(&mut db).await.unwrap();
    sqlx::raw_sql(FEATURE).execute(&mut db).await.unwrap();
    let mut all = db.begin().await.unwrap();
    for user in 1..=USERS {
        let insert = sqlx::query(USER).bind(user);
        insert.execute(&mut *all).await.unwrap();
    }
    all.commit().await.unwrap();
    db
}

/// How many requests of one job a second one caller inserts who has each of them committed.
async fn commit_each(db: &mut SqliteConnection, window: Duration) -> f64 {
    let begin = Instant::now();
    let mut requests = 0;
    while begin.elapsed() < window {
        let user = requests * 61 % USERS + 1;
        let mut one = db.begin().await.unwrap();
        let request = sqlx::query_scalar(REQUEST).bind(user);
        let id: i64 = request.fetch_one(&mut *one).await.unwrap();
        let job = sqlx::query(JOB).bind(id).bind(user);
        job.execute(&mut *one).await.unwrap();
        one.commit().await.unwrap();
        requests += 1;
    }
    requests as f64 / begin.elapsed().as_secs_f64()
}
