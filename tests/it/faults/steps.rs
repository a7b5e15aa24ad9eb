//! kill -9 of a worker in the middle of each step of a job, which stands still there: its statement waits for a lock that the test
//! has. What was under way is lost with the worker, or arrives although it is gone.

use std::time::Duration;

use atelier::rpc::proto::JobStatus;
use atelier::server::Role;
use sea_orm::{ConnectionTrait, DatabaseConnection};

use crate::support::audit::assert_ended_once;
use crate::support::client::{Client, scripted_request};
use crate::support::database::{Backend, TestDatabase};
use crate::support::ledger::with_ledger;
use crate::support::process::Process;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::watching::revisions;

const LOOK_AGAIN: Duration = Duration::from_millis(10);
const COST: i64 = 7;
/// So that nobody has to wait until the lease of a worker that is gone has run out.
const EXPIRE: &str =
    "UPDATE generation_jobs SET lease_expires_at = created_at WHERE status = 'processing'";

/// What a worker does for a job, in order: the change of its row before which it stands still, as a trigger sees it.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The claim is written, and not committed.
    CommitClaim,
    /// It has claimed, and not yet written down what it submits.
    NoteSubmission,
    /// It has submitted, and not yet written down what the task is called.
    NoteTask,
    /// It has stored the output, and written nothing of it.
    RecordOutput,
    /// All is written, and not committed.
    CommitOutput,
}

/// What becomes of the statement of a worker that is gone.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Lost,
    Arrives,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_as_it_commits_its_claim_costs_no_job() {
    die_at(Step::CommitClaim).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_after_its_claim_costs_no_job() {
    die_at(Step::NoteSubmission).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_after_the_submission_has_nothing_submitted_twice() {
    die_at(Step::NoteTask).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_after_its_output_is_stored_has_it_recorded_once() {
    die_at(Step::RecordOutput).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_as_it_commits_has_its_job_end_once() {
    die_at(Step::CommitOutput).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_on_sqlite_that_dies_before_it_commits_has_its_job_end_once() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let script = Script::new(&["succeed"]).gated().findable();
    let first = serve(&db).await;
    let job = create(&first, &script).await;
    script.wait_until_submitted(1).await;
    let other = db.connect().await;
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    script.open_gate();
    within(async {
        while !db.media.path().join("jobs").exists() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    first.kill();
    other.execute_unprepared("ROLLBACK").await.unwrap();
    db.execute(EXPIRE).await;

    let second = serve(&db).await;
    second.completed(job).await;
    assert_eq!(script.calls_of("submit").len(), 1);
    assert_eq!(assert_ended_once(&db).await[&job].attempt, 2);
}

/// A watcher on another server follows the job meanwhile.
async fn die_at(step: Step) {
    for fate in [Fate::Lost, Fate::Arrives] {
        let db = TestDatabase::create(Backend::Postgres).await;
        let api = TestServer::start_as(Role::Api, &db, with_ledger).await;
        let hold = Hold::at(&db, step).await;
        let first = serve(&db).await;
        let script = Script::new(&["succeed"]).with_task().findable();
        let job = create(&api, &script).await;
        let watch = api.watch(job).await;
        hold.until_reached().await;
        first.kill();
        hold.end(fate).await;
        db.execute(EXPIRE).await;
        let second = api.beside(Role::Worker, &db, |config| {
            with_ledger(config);
            config.executor.upkeep_interval = Duration::from_millis(100);
        });
        let second = second.await;

        let told = revisions(&watch.transitions().await);
        let ended = assert_ended_once(&db).await.remove(&job).unwrap();
        assert!(
            told.iter().copied().eq(1..=ended.revision),
            "{step:?}, {fate:?}: {told:?}"
        );
        let seen = api.completed(job).await.job;
        assert_eq!(seen.attempt, step.attempts(fate), "{step:?}, {fate:?}");
        assert!(script.calls_of("submit").len() <= 1, "{step:?}, {fate:?}");
        assert_eq!(api.balance().await, (0, 0), "{step:?}, {fate:?}");
        assert_eq!(seen.status(), JobStatus::Completed);
        second.stop().await;
    }
}

impl Step {
    /// When the trigger fires, and for which rows.
    fn trigger(self) -> (&'static str, &'static str) {
        let deferred = "CREATE CONSTRAINT TRIGGER hold AFTER UPDATE ON generation_jobs DEFERRABLE INITIALLY DEFERRED";
        let at_once = "CREATE TRIGGER hold BEFORE UPDATE ON generation_jobs";
        match self {
            Self::CommitClaim => (
                deferred,
                "NEW.status = 'processing' AND OLD.status = 'pending'",
            ),
            Self::NoteSubmission => (
                at_once,
                "NEW.submission_key IS NOT NULL AND OLD.submission_key IS NULL",
            ),
            Self::NoteTask => (
                at_once,
                "NEW.provider_task_id IS NOT NULL AND OLD.provider_task_id IS NULL",
            ),
            Self::RecordOutput => (at_once, "NEW.status = 'completed'"),
            Self::CommitOutput => (deferred, "NEW.status = 'completed'"),
        }
    }

    /// How many the job takes in all.
    fn attempts(self, fate: Fate) -> i32 {
        match (self, fate) {
            // Nothing was claimed.
            (Self::CommitClaim, Fate::Lost) => 1,
            // Nothing is left to do, although nobody knows.
            (Self::CommitOutput, Fate::Arrives) => 1,
            _ => 2,
        }
    }
}

/// Keeps whoever comes to a step there.
struct Hold {
    operator: DatabaseConnection,
}

impl Hold {
    async fn at(db: &TestDatabase, step: Step) -> Self {
        let operator = db.connect().await;
        let (trigger, rows) = step.trigger();
        let hold = format!(
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
                 PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END$$;
             {trigger} FOR EACH ROW WHEN ({rows}) EXECUTE FUNCTION hold();
             SELECT pg_advisory_lock(1)"
        );
        operator.execute_unprepared(&hold).await.unwrap();
        Self { operator }
    }

    /// Waits until somebody is held, of which only the database can tell.
    async fn until_reached(&self) {
        let held = "SELECT 1 FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory'";
        within(async {
            while self.affected(held).await == 0 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }

    /// Nobody is held from now on, and nothing goes on of the worker that is gone.
    async fn end(&self, fate: Fate) {
        if let Fate::Lost = fate {
            let end_sessions = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
                                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            self.affected(end_sessions).await;
        }
        self.affected("SELECT pg_advisory_unlock(1)").await;
        let going_on = "SELECT 1 FROM pg_stat_activity
                        WHERE datname = current_database() AND application_name LIKE 'atelier all %'";
        within(async {
            while self.affected(going_on).await > 0 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }

    async fn affected(&self, query: &str) -> u64 {
        let done = self.operator.execute_unprepared(query).await;
        done.unwrap().rows_affected()
    }
}

async fn serve(db: &TestDatabase) -> Process {
    let settings = ["billing.kind=ledger", "executor.lease=30s"];
    Process::serve(db, db.media.path(), &settings).await
}

/// One job, for all the credits that there are.
async fn create(on: &Client, script: &Script) -> i64 {
    let feature = on.priced_feature(COST).await;
    on.give(COST, "all").await;
    on.create(scripted_request(feature, script)).await.1[0].id
}
