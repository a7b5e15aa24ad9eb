//! Signals to the program: the first asks and leaves time, the second does not.

use std::time::{Duration, Instant};

use atelier::entity::{job, job_event};
use atelier::rpc::proto::{ErrorReason, JobStatus};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, EntityTrait, QueryOrder,
    TransactionTrait,
};
use serde_json::json;
use tonic::Code;

use crate::client::{scripted_feature, scripted_wish};
use crate::database::{TestDatabase, on_both_databases};
use crate::process::Process;
use crate::refusal::of_status;
use crate::script::Script;

/// What a shutdown may take. The provider here stops when it is asked to, so a fraction of it is enough.
const GRACE: Duration = Duration::from_secs(20);

on_both_databases! {
    async fn a_shutdown_ends_streams_hands_jobs_back_and_exits_with_zero(db: TestDatabase) {
        for signal in ["TERM", "INT"] {
            let media = tempfile::tempdir().unwrap();
            let script = Script::new(&["succeed"]).gated();
            let mut process = Process::serve(&db, media.path(), &[&format!("server.shutdown_grace={}s", GRACE.as_secs())]).await;
            let feature = scripted_feature(&signal.to_ascii_lowercase());
            let feature = process.add_feature(feature).await.id;
            let job = process.create(scripted_wish(feature, &script)).await.1.remove(0);
            let watch = process.watch(job.id).await;
            script.wait_until_submitted(1).await;

            let began = Instant::now();
            process.signal(signal);
            of_status(&watch.broken().await).is(Code::Unavailable, ErrorReason::ShuttingDown);
            let status = process.exit().await;
            assert_eq!(status.code(), Some(0), "{status}");
            // Neither cut off at the end of the grace nor waiting for it.
            assert!(began.elapsed() < GRACE, "{:?}", began.elapsed());
            assert_handed_back(&db, job.id).await;

            script.open_gate();
            let next = Process::serve(&db, media.path(), &[]).await;
            let ended = next.ended(job.id).await;
            assert_eq!(ended.statuses(), [
                JobStatus::Pending, JobStatus::Processing, JobStatus::Pending, JobStatus::Processing, JobStatus::Completed,
            ]);
            assert_eq!((ended.job.attempt, ended.code()), (1, ""));
        }
    }

    async fn a_task_at_a_provider_is_followed_on_after_a_shutdown(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let script = Script::new(&["succeed"]).with_task().gated();
        let mut process = Process::serve(&db, media.path(), &[]).await;
        let job = process.create_scripted(&script).await;
        script.wait_until(|calls| calls.iter().any(|call| call.name == "poll")).await;
        process.signal("TERM");
        assert_eq!(process.exit().await.code(), Some(0));
        assert_handed_back(&db, job.id).await;

        script.open_gate();
        let next = Process::serve(&db, media.path(), &[]).await;
        assert_eq!(next.ended(job.id).await.job.status(), JobStatus::Completed);
        assert_eq!(script.calls_of("submit").len(), 1);
        assert_eq!(script.calls_of("cancel").len(), 0);
    }

    async fn a_second_signal_ends_the_process_at_once(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let script = Script::new(&["succeed"]).gated();
        let mut process = Process::serve(&db, media.path(), &["server.shutdown_grace=10m"]).await;
        let job = process.create_scripted(&script).await;
        let watch = process.watch(job.id).await;
        script.wait_until_submitted(1).await;
        // The job cannot be handed back, so the process has to wait.
        let connection = db.connect().await;
        let lock = forbid_writing(&connection).await;

        process.signal("TERM");
        // A sign that the first signal has arrived.
        of_status(&watch.broken().await).is(Code::Unavailable, ErrorReason::ShuttingDown);
        process.signal("TERM");

        let status = process.exit().await;
        assert_eq!(status.code(), Some(143), "{status}");
        lock.rollback().await.unwrap();
    }

    async fn an_idle_process_ends_with_zero(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let mut process = Process::serve(&db, media.path(), &[]).await;
        process.signal("TERM");
        assert_eq!(process.exit().await.code(), Some(0));
    }
}

/// The job waits as before its attempt, which does not count, and its history says why.
async fn assert_handed_back(db: &TestDatabase, id: i64) {
    let connection = db.connect().await;
    let job = job::Entity::find_by_id(id).one(&connection).await;
    let job = job.unwrap().unwrap();
    assert_eq!(job.status, atelier::entity::JobStatus::Pending);
    assert_eq!((job.attempt, job.revision), (0, 3));
    assert_eq!((job.lease_token, job.lease_expires_at), (None, None));
    let events = job_event::Entity::find().order_by_desc(job_event::Column::JobId);
    let events = events.order_by_desc(job_event::Column::Revision);
    let last = events.one(&connection).await.unwrap().unwrap();
    assert_eq!((last.job_id, last.revision), (id, 3));
    assert_eq!(last.detail.unwrap()["cause"], json!("hand_back"));
}

/// Locks everyone else's writes to the jobs out until the transaction ends.
async fn forbid_writing(connection: &DatabaseConnection) -> DatabaseTransaction {
    let transaction = connection.begin().await.unwrap();
    let lock = match connection.get_database_backend() {
        DbBackend::Postgres => "LOCK TABLE generation_jobs IN SHARE ROW EXCLUSIVE MODE",
        // A write takes the lock of the whole database, even if it finds no row.
        _ => "DELETE FROM generation_jobs WHERE FALSE",
    };
    transaction.execute_unprepared(lock).await.unwrap();
    transaction
}
