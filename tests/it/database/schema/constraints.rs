//! Which rows the schema refuses, and that it refuses no more than these.

use sea_orm::{ConnectionTrait, DatabaseConnection};

use crate::support::database::{Backend, TestDatabase, on_both_databases};

/// A user, a feature, a template and a request, each with the id 1.
pub(super) async fn insert_parents(db: &DatabaseConnection) {
    db.execute_unprepared(
        "INSERT INTO users (id) VALUES (1);
         INSERT INTO generation_features (name, category) VALUES ('poster', 'image');
         INSERT INTO generation_templates (feature_id, name, template_data) VALUES (1, 'modern', '{}');
         INSERT INTO generation_requests (user_id, feature_id, user_prompt) VALUES (1, 1, 'a poster');",
    )
    .await
    .unwrap();
}

async fn migrated(db: &TestDatabase) -> DatabaseConnection {
    let connection = db.connect().await;
    migration::up(&connection, None).await.unwrap();
    insert_parents(&connection).await;
    connection
        .execute_unprepared(
            "INSERT INTO generation_jobs (request_id, user_id, feature_id, category, input_json)
                 VALUES (1, 1, 1, 'image', '{}');
             INSERT INTO generation_media (request_id, media_url, media_type, blurhash, storage_key)
                 VALUES (1, 'http://media/1', 'image', 'L', '1.png');",
        )
        .await
        .unwrap();
    connection
}

const NOW: &str = "'2026-01-01T00:00:00.000+00:00'";

/// A change of job 1, and the constraint that refuses it.
const REFUSED_JOBS: &[(&str, &str)] = &[
    ("status = 'completed'", "ck_generation_jobs_finished"),
    ("status = 'cancelled'", "ck_generation_jobs_finished"),
    (
        "status = 'failed', error_code = 'INTERNAL'",
        "ck_generation_jobs_finished",
    ),
    ("completed_at = NOW", "ck_generation_jobs_finished"),
    (
        "status = 'failed', completed_at = NOW",
        "ck_generation_jobs_failed",
    ),
    (
        "status = 'processing', started_at = NOW",
        "ck_generation_jobs_processing",
    ),
    (
        "status = 'processing', lease_token = 't', lease_expires_at = NOW",
        "ck_generation_jobs_processing",
    ),
    (
        "status = 'processing', started_at = NOW, lease_token = 't'",
        "ck_generation_jobs_processing",
    ),
    (
        "status = 'processing', started_at = NOW, lease_expires_at = NOW",
        "ck_generation_jobs_processing",
    ),
    ("lease_token = 't'", "ck_generation_jobs_lease"),
    ("lease_expires_at = NOW", "ck_generation_jobs_lease"),
    (
        "status = 'completed', completed_at = NOW, lease_token = 't'",
        "ck_generation_jobs_lease",
    ),
    ("attempt = -1", "ck_generation_jobs_attempt"),
    ("max_attempts = 0", "ck_generation_jobs_max_attempts"),
    ("revision = -1", "ck_generation_jobs_revision"),
    ("progress = -0.1", "ck_generation_jobs_progress"),
    ("progress = 1.1", "ck_generation_jobs_progress"),
];

const ACCEPTED_JOBS: &[&str] = &[
    "status = 'processing', started_at = NOW, lease_token = 't', lease_expires_at = NOW, progress = 1",
    "status = 'pending', lease_token = NULL, lease_expires_at = NULL, progress = 0",
    "status = 'failed', completed_at = NOW, error_code = 'INTERNAL'",
    "status = 'cancelled', completed_at = NOW, error_code = NULL",
    "status = 'completed', completed_at = NOW, attempt = 3, revision = 2",
];

/// A statement, and what the error of PostgreSQL and that of SQLite say.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "UPDATE generation_requests SET status = 'unknown'",
        "ck_generation_requests_status",
        "ck_generation_requests_status",
    ),
    (
        "UPDATE generation_jobs SET status = 'unknown'",
        "generation_job_status_enum",
        "CHECK constraint failed: status IN",
    ),
    (
        "UPDATE generation_features SET category = 'text'",
        "generation_media_type_enum",
        "CHECK constraint failed: category IN",
    ),
    (
        "UPDATE generation_features SET properties = '{'",
        "type json",
        "CHECK constraint failed: properties IS NULL OR json_valid(properties)",
    ),
    (
        "UPDATE generation_media SET media_type = NULL",
        "\"media_type\"",
        "NOT NULL constraint failed: generation_media.media_type",
    ),
    (
        "INSERT INTO generation_features (name, category) VALUES ('poster', 'image')",
        "idx_generation_features_live_name",
        "UNIQUE constraint failed: generation_features.name",
    ),
    (
        "INSERT INTO generation_templates (feature_id, name, template_data) VALUES (1, 'modern', '{}')",
        "idx_generation_templates_live_name",
        "UNIQUE constraint failed: generation_templates.feature_id, generation_templates.name",
    ),
    (
        "INSERT INTO generation_requests (user_id, feature_id, user_prompt) VALUES (2, 1, 'a poster')",
        "generation_requests_user_id_fkey",
        "FOREIGN KEY constraint failed",
    ),
    (
        "DELETE FROM generation_features",
        "generation_requests_feature_id_fkey",
        "FOREIGN KEY constraint failed",
    ),
];

async fn assert_refused(db: &DatabaseConnection, statement: &str, reason: &str) {
    match db.execute_unprepared(statement).await {
        Ok(_) => panic!("accepted: {statement}"),
        Err(error) => {
            let error = error.to_string();
            assert!(
                error.contains(reason),
                "{statement}\n  {error}\n  does not say {reason}"
            );
        }
    }
}

fn change_of_job(change: &str) -> String {
    let change = change.replace("NOW", NOW);
    format!("UPDATE generation_jobs SET {change} WHERE id = 1")
}

on_both_databases! {
    async fn a_job_whose_status_and_fields_disagree_is_refused(db: TestDatabase) {
        let connection = migrated(&db).await;
        for (change, constraint) in REFUSED_JOBS {
            assert_refused(&connection, &change_of_job(change), constraint).await;
        }
    }

    async fn every_status_with_its_fields_is_accepted(db: TestDatabase) {
        let connection = migrated(&db).await;
        for change in ACCEPTED_JOBS {
            connection
                .execute_unprepared(&change_of_job(change))
                .await
                .unwrap_or_else(|error| panic!("{change}: {error}"));
        }
    }

    async fn unknown_values_duplicates_and_dangling_references_are_refused(db: TestDatabase) {
        let connection = migrated(&db).await;
        for (statement, on_postgres, on_sqlite) in REFUSED {
            let reason = match db.backend {
                Backend::Postgres => on_postgres,
                Backend::Sqlite => on_sqlite,
            };
            assert_refused(&connection, statement, reason).await;
        }
    }

    async fn the_name_of_something_deleted_can_be_used_again(db: TestDatabase) {
        let connection = migrated(&db).await;
        let statements = format!(
            "UPDATE generation_features SET deleted_at = {NOW};
             INSERT INTO generation_features (name, category) VALUES ('poster', 'image');
             UPDATE generation_templates SET deleted_at = {NOW};
             INSERT INTO generation_templates (feature_id, name, template_data) VALUES (1, 'modern', '{{}}');"
        );
        connection.execute_unprepared(&statements).await.unwrap();
    }

    async fn purging_a_request_takes_everything_of_it_along(db: TestDatabase) {
        let connection = migrated(&db).await;
        connection
            .execute_unprepared(
                "INSERT INTO generation_job_events (job_id, revision, status, attempt) VALUES (1, 1, 'pending', 0);
                 INSERT INTO generation_idempotency_keys (user_id, key, fingerprint, request_id) VALUES (1, 'k', 'f', 1);
                 DELETE FROM generation_requests;",
            )
            .await
            .unwrap();
        // Each insert succeeds only if the row of the same key is gone.
        connection
            .execute_unprepared(
                "INSERT INTO generation_requests (id, user_id, feature_id, user_prompt) VALUES (9, 1, 1, 'again');
                 INSERT INTO generation_jobs (id, request_id, user_id, feature_id, category, input_json)
                     VALUES (1, 9, 1, 1, 'image', '{}');
                 INSERT INTO generation_job_events (job_id, revision, status, attempt) VALUES (1, 1, 'pending', 0);
                 INSERT INTO generation_idempotency_keys (user_id, key, fingerprint, request_id) VALUES (1, 'k', 'f', 9);
                 INSERT INTO generation_media (request_id, media_url, media_type, blurhash, storage_key)
                     VALUES (9, 'http://media/1', 'image', 'L', '1.png');",
            )
            .await
            .unwrap();
    }
}
