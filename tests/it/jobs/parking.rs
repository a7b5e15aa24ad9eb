//! Jobs that wait for a time: out of everybody's way until then, and announced when it has come, whoever is left to do so.

use std::time::Duration;

use atelier::domain::job::AttemptEnd;
use atelier::domain::{JobStatus, MediaType};
use atelier::entity::job;
use atelier::server::Role;
use futures::FutureExt;
use sea_orm::EntityTrait;

use crate::support::bench::{Bench, LEASE, capability, lease, overloaded};
use crate::support::database::on_both_databases;
use crate::support::script::Script;
use crate::support::server::{DEADLINE, TestServer, within};

on_both_databases! {
    async fn a_pause_is_announced_when_it_ends_and_not_when_it_begins(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let job = bench.request(1, 0).await.remove(0);
        let claimed = bench.claim(1).await;
        let announced = || bench.app.events.work().now_or_never().is_some();
        while announced() {}
        bench.app.end_attempt(&lease(&claimed[0]), &overloaded(Duration::from_secs(20))).await.unwrap().unwrap();
        assert!(!announced() && bench.job(job.id).await.parked);
        bench.pass(19);
        assert_eq!(bench.app.unpark_due_jobs().await.unwrap(), Some(Duration::from_secs(1)));
        assert!(!announced() && bench.claim(1).await.is_empty());
        bench.pass(1);
        assert_eq!(bench.app.unpark_due_jobs().await.unwrap(), None);
        assert!(announced() && !bench.job(job.id).await.parked);
        assert_eq!(bench.claim(1).await[0].id, job.id);
    }

    async fn the_worker_that_pauses_a_job_takes_it_up_in_time(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.executor.poll_interval = 2 * DEADLINE).await;
        let script = Script::new(&["transient", "succeed"]);
        let job = server.create_scripted(&script).await;
        server.completed(job.id).await;
        assert_eq!(script.calls_of("submit").len(), 2);
    }

    async fn a_worker_lets_go_what_another_has_paused(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        // It cannot even run it.
        let worker = server.beside(Role::Worker, &db, |config| config.executor.categories = vec![MediaType::Audio]).await;
        let id = server.create_scripted(&Script::new(&["succeed"])).await.id;
        let scripted = [capability("scripted")];
        let claimed = server.app().claim_jobs("gone", 1, LEASE, &scripted).await.unwrap();
        let pause = overloaded(Duration::from_millis(300));
        server.app().end_attempt(&lease(&claimed[0]), &pause).await.unwrap().unwrap();
        let connection = db.connect().await;
        let row = async || job::Entity::find_by_id(id).one(&connection).await.unwrap().unwrap();
        within(async {
            while row().await.parked {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }).await;
        assert_eq!(row().await.status, JobStatus::Pending);
        worker.stop().await;
    }

    async fn what_an_older_program_pauses_is_passed_over_until_it_is_due(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let id = bench.request(1, 0).await.remove(0).id;
        let due = bench.pass(0) + chrono::TimeDelta::seconds(60);
        let due = due.to_rfc3339_opts(chrono::SecondsFormat::Millis, false);
        db.execute(&format!("UPDATE generation_jobs SET run_after = '{due}'")).await;
        bench.pass(59);
        assert!(bench.claim(1).await.is_empty());
        bench.pass(1);
        assert_eq!(bench.claim(1).await[0].id, id);
    }

    async fn what_an_older_program_has_taken_as_paused_comes_back_all_the_same(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let id = bench.request(1, 0).await.remove(0).id;
        bench.claim(1).await;
        db.execute("UPDATE generation_jobs SET parked = TRUE").await;
        bench.pass(31);
        assert_eq!(bench.app.rescue_jobs().await.unwrap(), 1);
        let rescued = bench.claim(1).await;
        assert_eq!((rescued[0].id, rescued[0].parked), (id, false));
        // Its own hand-back leaves the mark, and the time that has come.
        bench.app.end_attempt(&lease(&rescued[0]), &AttemptEnd::HandBack { keep_task: false }).await.unwrap();
        db.execute("UPDATE generation_jobs SET parked = TRUE").await;
        assert!(bench.claim(1).await.is_empty());
        assert_eq!(bench.app.unpark_due_jobs().await.unwrap(), None);
        assert_eq!(bench.claim(1).await[0].id, id);
    }
}
