//! The servers that are measured, on databases that keep what they are told.

use std::path::Path;
use std::time::Duration;

use atelier::app::App;
use atelier::client::Client;
use atelier::client::proto::{
    CreateFeatureRequest, CreateRequestRequest, FeatureProperties, GenerationInput,
    GrantCreditsRequest, MediaType,
};
use atelier::config::{BillingKind, Config, ProviderConfig, ScriptedConfig};
use atelier::domain::Plan;
use atelier::server::{Role, Server};
use prost_types::{ListValue, Struct, Value, value::Kind};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};
use tempfile::TempDir;

use crate::durable::DURABLE;
use crate::postgres::Cluster;

/// How many users ask in turn.
pub(crate) const USERS: i64 = 1_000;
/// How many jobs a request of many has.
pub(crate) const JOBS: i32 = 100;
/// How many jobs the worker runs at once.
const SLOTS: usize = 64;

/// The specification's tables with all of its indexes, and nothing else.
const SPECIFICATION: &str = include_str!("../../migration/src/sql/m0001_domain/postgres_up.sql");

/// A server that answers clients, with users who can pay, on a PostgreSQL that also has a database with the specification's tables
/// only, or on a file of SQLite.
pub(crate) struct Service<D = Cluster> {
    config: Config,
    api: Server,
    /// What the provider of tests is told to do: to end at once, or to make a picture of 64 x 64 pixels.
    pub ends: i64,
    pub draws: i64,
    folder: TempDir,
    database: D,
}

/// The database is a file of the service's folder.
pub(crate) struct Sqlite;

impl Service {
    pub(crate) async fn start() -> Self {
        Self::start_with(DURABLE).await
    }

    /// The same on a PostgreSQL that is set up so.
    pub(crate) async fn start_with(settings: &'static str) -> Self {
        let cluster = Cluster::with(settings).await;
        prepare(&cluster).await;
        let url = cluster.url();
        Self::start_on(&url, tempfile::tempdir().unwrap(), cluster).await
    }

    /// What another process needs to be a server beside it, as settings of the command line.
    pub(crate) fn settings(&self) -> Vec<String> {
        let most = 1_000_000;
        vec![
            format!("database.url={}", self.database.url()),
            format!("storage.folder={}", self.config.storage.folder.display()),
            "server.listen=127.0.0.1:0".to_owned(),
            format!("server.max_connections={most}"),
            format!("server.max_connections_per_peer={most}"),
            format!("server.max_watches={most}"),
            format!("server.max_watches_per_peer={most}"),
            "catalogue.install_starter=false".to_owned(),
            "catalogue.install_previews=false".to_owned(),
            "billing.kind=ledger".to_owned(),
            "log.filter=warn".to_owned(),
        ]
    }

    pub(crate) fn port(&self) -> u16 {
        self.database.port()
    }

    /// A connection to a database of the cluster: `postgres` is the service's, `specification` has the specification's tables.
    pub(crate) async fn database(&self, name: &str) -> DatabaseConnection {
        connect(&self.database, name).await
    }

    /// Takes all requests away, and waits until the disk has what was written.
    pub(crate) async fn clear(&self) {
        for name in ["postgres", "specification"] {
            let db = self.database(name).await;
            execute(&db, "TRUNCATE generation_requests CASCADE").await;
            execute(&db, "VACUUM ANALYZE").await;
            execute(&db, "CHECKPOINT").await;
        }
    }
}

impl Service<Sqlite> {
    pub(crate) async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("atelier.db");
        let url = format!("sqlite://{}", file.display());
        Self::start_on(&url, folder, Sqlite).await
    }

    /// Where files lie beside its database.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl<D> Service<D> {
    async fn start_on(url: &str, folder: TempDir, database: D) -> Self {
        let config = configuration(url, &folder);
        let api = Server::start(config.clone(), Role::Api).await.unwrap();
        let client = Client::connect(&api.url().unwrap()).await.unwrap();
        let service = Self {
            ends: add_feature(&client, "ends").await,
            draws: add_feature(&client, "draws").await,
            config,
            api,
            folder,
            database,
        };
        for user in 1..=USERS {
            let grant = GrantCreditsRequest {
                user_id: user,
                amount: 1_000_000_000,
                reason: "a benchmark".to_owned(),
                idempotency_key: "bench".to_owned(),
                ..Default::default()
            };
            client.credits().grant_credits(grant).await.unwrap();
        }
        service
    }

    pub(crate) fn url(&self) -> String {
        self.api.url().unwrap()
    }

    /// The use cases of the server that answers clients.
    pub(crate) fn app(&self) -> &App {
        self.api.app()
    }

    /// So many connections to the server.
    pub(crate) async fn clients(&self, count: usize) -> Vec<Client> {
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(Client::connect(&self.url()).await.unwrap());
        }
        clients
    }

    /// A server of its own that runs jobs.
    pub(crate) async fn worker(&self) -> Server {
        self.worker_of(SLOTS).await
    }

    /// The same of so many slots.
    pub(crate) async fn worker_of(&self, slots: usize) -> Server {
        let mut config = self.config.clone();
        config.executor.concurrency = slots;
        Server::start(config, Role::Worker).await.unwrap()
    }

    /// One that answers clients and runs jobs.
    pub(crate) async fn whole(&self) -> Server {
        Server::start(self.config.clone(), Role::All).await.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.api.hand_back().await;
    }
}

/// A request of this user, for a feature of the provider of tests.
pub(crate) fn asked(feature_id: i64, step: &str, number: i64) -> CreateRequestRequest {
    let text = |text: &str| Value {
        kind: Some(Kind::StringValue(text.to_owned())),
    };
    let object = |key: &str, value: Value| Struct {
        fields: [(key.to_owned(), value)].into(),
    };
    let steps = Value {
        kind: Some(Kind::ListValue(ListValue {
            values: vec![text(step)],
        })),
    };
    let script = Value {
        kind: Some(Kind::StructValue(object("steps", steps))),
    };
    CreateRequestRequest {
        user_id: number % USERS + 1,
        feature_id,
        user_prompt: "Khai trương quán cà phê: giảm 50% cả tuần".to_owned(),
        input: Some(GenerationInput {
            extra: Some(object("scripted", script)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A figure that a query tells.
pub(crate) async fn figure(db: &DatabaseConnection, query: &str) -> f64 {
    let statement = Statement::from_string(db.get_database_backend(), query);
    let row = db.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

pub(crate) async fn execute(db: &DatabaseConnection, statement: &str) {
    db.execute_unprepared(statement).await.unwrap();
}

async fn connect(cluster: &Cluster, name: &str) -> DatabaseConnection {
    let url = format!("postgres://postgres@127.0.0.1:{}/{name}", cluster.port());
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

/// Makes the users, and the database that has the specification's tables.
async fn prepare(cluster: &Cluster) {
    let users = format!("INSERT INTO users (id) SELECT generate_series(1, {USERS})");
    let db = connect(cluster, "postgres").await;
    execute(&db, "CREATE TABLE users (id BIGINT PRIMARY KEY)").await;
    execute(&db, &users).await;
    execute(&db, "CREATE DATABASE specification").await;
    let db = connect(cluster, "specification").await;
    execute(&db, SPECIFICATION).await;
    execute(&db, &users).await;
    let feature = "INSERT INTO generation_features (name, category) VALUES ('ends', 'image')";
    execute(&db, feature).await;
}

fn configuration(database: &str, folder: &TempDir) -> Config {
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.server.shutdown_delay = Duration::ZERO;
    config.database.url = database.parse().unwrap();
    config.storage.folder = folder.path().to_owned();
    config.billing.kind = BillingKind::Ledger;
    config.limits.variations = JOBS.unsigned_abs();
    let plan = Plan {
        pending_jobs: 1_000_000,
        requests_per_day: 1_000_000_000,
        ..Default::default()
    };
    config.named_plans.insert("bench".to_owned(), plan);
    config.plans.default = Some("bench".to_owned());
    let scripted = ScriptedConfig {
        folder: folder.path().to_owned(),
        pictures: false,
        limits: Default::default(),
    };
    let scripted = ProviderConfig::Scripted(scripted);
    config.providers.insert("scripted".to_owned(), scripted);
    config
}

async fn add_feature(client: &Client, name: &str) -> i64 {
    let feature = CreateFeatureRequest {
        name: name.to_owned(),
        category: MediaType::Image.into(),
        properties: Some(FeatureProperties {
            provider: "scripted".to_owned(),
            omit_thumbnails: true,
            cost_per_generation: 1,
            ..Default::default()
        }),
        ..Default::default()
    };
    let created = client.features().create_feature(feature).await.unwrap();
    created.into_inner().feature.unwrap().id
}
