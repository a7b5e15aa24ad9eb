//! The migrated schema: equal to the specification's, the same on both databases, reversible, safe to reach from many
//! processes at once, and strict about the states of rows.

mod catalogue;
mod constraints;

use std::process::{Command, Stdio};
use std::{array, env};

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

use crate::support::database::{Backend, TestDatabase, on_both_databases};
use catalogue::{Catalogue, assert_same};

const PROCESSES: usize = 10;
pub(crate) const MIGRATIONS: u32 = migration::MIGRATIONS.len() as u32;

#[tokio::test]
async fn the_first_migration_gives_postgres_exactly_the_schema_of_the_specification() {
    let specified = TestDatabase::create(Backend::Postgres).await;
    let specified = specified.connect().await;
    let ddl = include_str!("schema/spec.sql");
    specified.execute_unprepared(ddl).await.unwrap();
    let migrated = TestDatabase::create(Backend::Postgres).await;
    let migrated = migrated.connect().await;
    migration::up(&migrated, Some(1)).await.unwrap();

    assert_same(
        &catalogue::of_postgres(&specified).await,
        &catalogue::of_postgres(&migrated).await,
        "the specification (-) and migration 1 (+) differ",
    );
}

#[tokio::test]
async fn both_databases_have_the_same_tables_columns_references_and_indexes() {
    let postgres = TestDatabase::create(Backend::Postgres).await;
    let sqlite = TestDatabase::create(Backend::Sqlite).await;
    let (postgres, sqlite) = (postgres.connect().await, sqlite.connect().await);
    migration::up(&postgres, None).await.unwrap();
    migration::up(&sqlite, None).await.unwrap();

    let mut expected = catalogue::shared(&postgres).await;
    // SQLite has no GIN, and no other index serves a search in a JSON array.
    let gin = "index idx_generation_templates_search_tags on generation_templates unique=0";
    assert!(expected.remove(gin), "PostgreSQL has no index on tags");
    assert_same(
        &expected,
        &catalogue::shared(&sqlite).await,
        "PostgreSQL (-) and SQLite (+) differ",
    );
}

on_both_databases! {
    async fn down_undoes_exactly_what_up_did(db: TestDatabase) {
        let connection = db.connect().await;
        let mut after = Vec::new();
        for _ in 0..MIGRATIONS {
            migration::up(&connection, Some(1)).await.unwrap();
            after.push(full(&connection).await);
        }
        let all = after.pop().unwrap();
        for (index, before) in after.iter().enumerate().rev() {
            migration::down(&connection, 1).await.unwrap();
            assert_same(before, &full(&connection).await, &format!("migration {} leaves traces", index + 2));
        }
        migration::up(&connection, None).await.unwrap();
        assert_same(&all, &full(&connection).await, "up again and the first time differ");

        migration::down(&connection, MIGRATIONS).await.unwrap();
        let left = full(&connection).await;
        assert!(left.iter().all(|line| line.contains("users")), "left behind: {left:#?}");
        assert!(!left.is_empty(), "users is not ours to drop");
        migration::up(&connection, None).await.unwrap();
        assert_same(&all, &full(&connection).await, "up after all down and the first time differ");
    }

    async fn status_tells_which_migrations_are_applied_and_changes_nothing(db: TestDatabase) {
        let connection = db.connect().await;
        assert_eq!(applied(&connection).await, [false; MIGRATIONS as usize]);
        assert_eq!(applied(&connection).await, [false; MIGRATIONS as usize]);
        assert!(full(&connection).await.is_empty());

        migration::up(&connection, Some(1)).await.unwrap();
        let first = |index| index == 0;
        assert_eq!(applied(&connection).await, array::from_fn::<_, { MIGRATIONS as usize }, _>(first));
        migration::up(&connection, None).await.unwrap();
        assert_eq!(applied(&connection).await, [true; MIGRATIONS as usize]);
        migration::down(&connection, 1).await.unwrap();
        let all_but_the_last = |index| index + 1 < MIGRATIONS as usize;
        assert_eq!(applied(&connection).await, array::from_fn::<_, { MIGRATIONS as usize }, _>(all_but_the_last));
    }

    async fn a_migration_that_fails_leaves_nothing_of_itself(db: TestDatabase) {
        let connection = db.connect().await;
        // Migration 2 creates this table after it has altered others.
        let obstacle = "CREATE TABLE generation_idempotency_keys (id BIGINT)";
        connection.execute_unprepared(obstacle).await.unwrap();
        let before = full(&connection).await;

        migration::up(&connection, None).await.unwrap_err();

        assert_same(&before, &full(&connection).await, "before (-) and after the failure (+) differ");
        assert_eq!(applied(&connection).await, [false; MIGRATIONS as usize]);
    }

    async fn an_existing_users_table_is_kept_as_it_is(db: TestDatabase) {
        let connection = db.connect().await;
        let theirs = "CREATE TABLE users (id BIGINT PRIMARY KEY, email TEXT NOT NULL)";
        connection.execute_unprepared(theirs).await.unwrap();
        let before = full(&connection).await;

        migration::up(&connection, None).await.unwrap();
        migration::down(&connection, MIGRATIONS).await.unwrap();

        assert_same(&before, &full(&connection).await, "before (-) and after up and down (+) differ");
    }

    async fn ten_processes_that_migrate_at_the_same_moment_all_succeed(db: TestDatabase) {
        if let Ok(url) = env::var(MIGRATE) {
            let connection = Database::connect(url).await.unwrap();
            return migration::up(&connection, None).await.unwrap();
        }
        let processes: Vec<_> = (0..PROCESSES)
            .map(|_| migrating_process(&db).stdout(Stdio::piped()).spawn().unwrap())
            .collect();
        for process in processes {
            let ended = process.wait_with_output().unwrap();
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
        }
        assert_eq!(applied(&db.connect().await).await, [true; MIGRATIONS as usize]);
    }

    async fn ten_connections_that_migrate_at_the_same_moment_all_succeed(db: TestDatabase) {
        let mut connections = Vec::new();
        for _ in 0..PROCESSES {
            connections.push(db.connect().await);
        }
        let migrations: Vec<_> = connections
            .into_iter()
            .map(|connection| tokio::spawn(async move { migration::up(&connection, None).await }))
            .collect();
        for migration in migrations {
            migration.await.unwrap().unwrap();
        }
        assert_eq!(applied(&db.connect().await).await, [true; MIGRATIONS as usize]);
    }

    async fn jobs_that_wait_get_their_provider_from_their_input(db: TestDatabase) {
        let connection = db.connect().await;
        let status = migration::status(&connection).await.unwrap();
        let before = status.iter().position(|standing| standing.name == "m0007_provider").unwrap();
        migration::up(&connection, u32::try_from(before).ok()).await.unwrap();
        constraints::insert_parents(&connection).await;
        connection.execute_unprepared(&format!(
            "INSERT INTO generation_jobs (request_id, user_id, feature_id, category, input_json, provider)
             VALUES (1, 1, 1, 'image', '{{\"provider\":\"studio\"}}', NULL),
                    (1, 1, 1, 'image', '{{\"provider\":\"studio\"}}', 'other'),
                    (1, 1, 1, 'audio', '{{\"provider\":\"{}\"}}', NULL),
                    (1, 1, 1, 'image', '[]', NULL)", "x".repeat(65),
        )).await.unwrap();

        migration::up(&connection, None).await.unwrap();

        let providers = lines(&connection, "SELECT coalesce(provider, '-') FROM generation_jobs ORDER BY id").await;
        assert_eq!(providers, ["studio", "other", "-", "-"]);
        // Workers of an older program run these, and do not say so.
        let given_time = "SELECT provider || ' ' || CAST(category AS TEXT) FROM generation_capabilities
            WHERE seen_at IS NOT NULL ORDER BY provider";
        assert_eq!(lines(&connection, given_time).await, ["other image", "studio image"]);
    }

    async fn jobs_written_before_leases_existed_are_brought_to_states_that_are_allowed(db: TestDatabase) {
        let connection = db.connect().await;
        migration::up(&connection, Some(1)).await.unwrap();
        constraints::insert_parents(&connection).await;
        connection.execute_unprepared(
            "INSERT INTO generation_jobs (request_id, user_id, feature_id, category, input_json, status, started_at, completed_at)
             VALUES (1, 1, 1, 'image', '{}', 'processing', '2026-01-01T00:00:00+00:00', NULL),
                    (1, 1, 1, 'image', '{}', 'failed', NULL, NULL),
                    (1, 1, 1, 'image', '{}', 'completed', NULL, NULL),
                    (1, 1, 1, 'image', '{}', 'pending', NULL, '2026-01-01T00:00:00+00:00')",
        ).await.unwrap();

        migration::up(&connection, None).await.unwrap();

        assert_eq!(
            jobs(&connection).await,
            ["pending - -", "failed finished INTERNAL", "completed finished -", "pending - -"],
        );
    }
}

/// Names the database for a process that shall do nothing but migrate it.
const MIGRATE: &str = "ATELIER_TEST_MIGRATE";

/// This test binary once more, restricted to the test that migrates if it is told where.
fn migrating_process(db: &TestDatabase) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", MIGRATING_TEST])
        .env(MIGRATE, &db.url);
    command
}

const MIGRATING_TEST: &str =
    "database::schema::ten_processes_that_migrate_at_the_same_moment_all_succeed::on_sqlite";

async fn full(connection: &DatabaseConnection) -> Catalogue {
    match connection.get_database_backend() {
        DbBackend::Postgres => catalogue::of_postgres(connection).await,
        _ => catalogue::of_sqlite(connection).await,
    }
}

async fn applied(connection: &DatabaseConnection) -> Vec<bool> {
    let status = migration::status(connection).await.unwrap();
    let applied = |standing: migration::Standing| standing.state == migration::State::Applied;
    status.into_iter().map(applied).collect()
}

/// Status, end and error code of each job, in the order of their ids.
async fn jobs(connection: &DatabaseConnection) -> Vec<String> {
    let told = "SELECT CAST(status AS TEXT) || CASE WHEN completed_at IS NULL THEN ' - ' ELSE ' finished ' END
             || coalesce(error_code, '-')
         FROM generation_jobs ORDER BY id";
    lines(connection, told).await
}

/// The first column of each row that a query finds.
async fn lines(connection: &DatabaseConnection, query: &str) -> Vec<String> {
    let statement = Statement::from_string(connection.get_database_backend(), query);
    let rows = connection.query_all_raw(statement).await.unwrap();
    rows.iter()
        .map(|row| row.try_get_by_index(0).unwrap())
        .collect()
}
