//! A fresh, empty database for each test, on either backend.

use std::path::Path;
use std::sync::Arc;

use atelier::app::Clock;
use atelier::domain::{Caller, Keyring, Purpose, Sealer};
use atelier::store;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};
use tempfile::TempDir;

use crate::support::postgres::{self, PostgresDatabase};
use crate::support::server::DEADLINE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// An empty database, removed when this value is dropped.
pub(crate) struct TestDatabase {
    /// What `DATABASE_URL` would say.
    pub url: String,
    pub backend: Backend,
    /// Where its servers keep their media: a database that has some expects to find them.
    pub media: Arc<TempDir>,
    _storage: Storage,
}

/// What keeps the database in existence.
enum Storage {
    Folder {
        _folder: TempDir,
    },
    Server {
        _database: PostgresDatabase,
    },
    /// The test itself.
    Elsewhere,
}

impl TestDatabase {
    pub(crate) async fn create(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => Self::on_sqlite(),
            Backend::Postgres => Self::on_postgres().await,
        }
    }

    fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            url: sqlite_url(&folder.path().join("atelier.db")),
            backend: Backend::Sqlite,
            media: Arc::new(tempfile::tempdir().unwrap()),
            _storage: Storage::Folder { _folder: folder },
        }
    }

    async fn on_postgres() -> Self {
        let database = postgres::database().await;
        Self {
            url: database.url.clone(),
            backend: Backend::Postgres,
            media: Arc::new(tempfile::tempdir().unwrap()),
            _storage: Storage::Server {
                _database: database,
            },
        }
    }

    /// The database of this URL, on a server of the test's own or as another role.
    pub(crate) fn on_server(url: String) -> Self {
        Self::at(url, Backend::Postgres)
    }

    /// The database of this URL.
    pub(crate) fn at(url: String, backend: Backend) -> Self {
        Self {
            url,
            backend,
            media: Arc::new(tempfile::tempdir().unwrap()),
            _storage: Storage::Elsewhere,
        }
    }

    /// Runs statements behind the service's back.
    pub(crate) async fn execute(&self, statements: &str) {
        let connection = self.connect().await;
        connection.execute_unprepared(statements).await.unwrap();
        connection.close().await.unwrap();
    }

    /// All rows of a query that gives one text a row.
    pub(crate) async fn texts(&self, query: &str) -> Vec<String> {
        let connection = self.connect().await;
        let statement = Statement::from_string(connection.get_database_backend(), query);
        let rows = connection.query_all_raw(statement).await.unwrap();
        let texts = rows.iter().map(|row| row.try_get_by_index(0).unwrap());
        texts.collect()
    }

    /// Identity's table of users, as it is at least.
    pub(crate) async fn create_users(&self) {
        self.execute("CREATE TABLE users (id BIGINT PRIMARY KEY)")
            .await;
    }

    /// A user whom Identity knows.
    pub(crate) async fn add_user(&self, id: i64) {
        self.execute(&format!("INSERT INTO users (id) VALUES ({id})"))
            .await;
    }

    /// Seals page tokens and cursors as the database's servers do.
    pub(crate) async fn sealer(&self, caller: Caller) -> Sealer {
        let keys = Keyring::new(Purpose::Tokens);
        let stored = store::secret::keys(&self.connect().await, Purpose::Tokens).await;
        keys.read(&stored.unwrap(), Clock::system().now());
        Sealer::new(&keys, caller)
    }

    /// A single connection for what a test looks up or prepares behind the service's back.
    pub(crate) async fn connect(&self) -> DatabaseConnection {
        let mut options = ConnectOptions::new(&self.url);
        options.max_connections(1).sqlx_logging(false);
        // The servers of a busy machine may hold SQLite's lock for long.
        options.map_sqlx_sqlite_opts(|options| options.busy_timeout(DEADLINE));
        Database::connect(options).await.unwrap()
    }
}

fn sqlite_url(file: &Path) -> String {
    format!("sqlite://{}?mode=rwc", file.display())
}

/// Makes of each `async fn a_sentence(db: TestDatabase) { .. }` the tests `a_sentence::on_sqlite` and
/// `a_sentence::on_postgres`, each with an empty database of its own.
macro_rules! on_both_databases {
    ($(async fn $name:ident($database:ident: TestDatabase) $body:block)+) => {$(
        mod $name {
            use super::*;

            async fn check($database: $crate::support::database::TestDatabase) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                use $crate::support::database::{Backend, TestDatabase};
                check(TestDatabase::create(Backend::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgres() {
                use $crate::support::database::{Backend, TestDatabase};
                check(TestDatabase::create(Backend::Postgres).await).await;
            }
        }
    )+};
}
pub(crate) use on_both_databases;
