//! What operators watch, as a collector reads it.

use std::collections::BTreeMap;

use atelier::client::proto::GetJobRequest;
use atelier::server::Role;

use crate::support::client::scripted_request;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::python::python;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

/// The samples of a server, by name and labels.
struct Samples(BTreeMap<(String, String), f64>);

impl Samples {
    async fn of(server: &TestServer) -> Self {
        let url = format!("{}/metrics", server.metrics_url());
        let (read, told) = python("tests/python/metrics.py", &[&url]).await;
        assert!(read, "{told}");
        let samples = told.lines().map(|line| {
            let [name, labels, value] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            let name = name.strip_prefix("atelier_").unwrap();
            let key = (name.to_owned(), labels.to_owned());
            (key, value.parse().unwrap())
        });
        Self(samples.collect())
    }

    /// As soon as they have this one.
    async fn with(server: &TestServer, (name, labels): (&str, &str)) -> Self {
        within(async {
            loop {
                let samples = Self::of(server).await;
                let key = (name.to_owned(), labels.to_owned());
                if samples.0.contains_key(&key) {
                    return samples;
                }
            }
        })
        .await
    }

    fn get(&self, name: &str, labels: &str) -> f64 {
        let found = self.0.get(&(name.to_owned(), labels.to_owned()));
        *found.unwrap_or_else(|| panic!("no {name} of {labels} among {:?}", self.0))
    }

    fn has(&self, name: &str) -> bool {
        self.0.keys().any(|(of, _)| of == name)
    }
}

async fn metered(role: Role, db: &TestDatabase) -> TestServer {
    TestServer::start_as(role, db, |config| {
        config.metrics.listen = Some("127.0.0.1:0".parse().unwrap());
    })
    .await
}

on_both_databases! {
    async fn calls_jobs_and_attempts_are_counted_by_their_ends(db: TestDatabase) {
        let server = metered(Role::All, &db).await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&["transient", "succeed"]);
        let job = server.create(scripted_request(feature, &script)).await.1.remove(0);
        server.completed(job.id).await;
        let failing = Script::new(&["fail"]);
        let job = server.create(scripted_request(feature, &failing)).await.1.remove(0);
        server.ended(job.id).await;
        let unknown = GetJobRequest { id: 999, ..Default::default() };
        server.jobs().get_job(unknown).await.unwrap_err();

        // Its end is counted once it is recorded, and so a little later than others hear of it.
        let failed = ("attempts_total", "end=failed,media_type=image,provider=scripted");
        let samples = Samples::with(&server, failed).await;
        for (name, labels, expected) in [
            ("call_duration_seconds_count", "code=OK,rpc=CreateRequest", 2.0),
            ("call_duration_seconds_count", "code=NOT_FOUND,rpc=GetJob", 1.0),
            ("jobs_claimed_total", "media_type=image,provider=scripted", 3.0),
            ("job_wait_seconds_count", "media_type=image,provider=scripted", 3.0),
            ("attempts_total", "end=retried,media_type=image,provider=scripted", 1.0),
            ("attempts_total", "end=completed,media_type=image,provider=scripted", 1.0),
            ("attempts_total", "end=failed,media_type=image,provider=scripted", 1.0),
            ("attempt_phase_seconds_count", "phase=generate,provider=scripted", 3.0),
            ("attempt_phase_seconds_count", "phase=store,provider=scripted", 1.0),
            ("attempt_phase_seconds_count", "phase=record,provider=scripted", 3.0),
            // The first comes again once its user is known.
            ("batch_size_count", "of=requests", 3.0),
            ("batch_size_sum", "of=completions", 1.0),
            ("batch_size_sum", "of=endings", 2.0),
            ("jobs_rescued_total", "-", 0.0),
        ] {
            assert_eq!(samples.get(name, labels), expected, "{name} {labels}");
        }
    }

    async fn a_job_that_is_rescued_is_counted(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let script = Script::new(&["succeed"]);
        let job = server.create_scripted(&script).await;
        db.execute(
            "UPDATE generation_jobs SET status = 'processing', attempt = 1, worker_id = 'lost', lease_token = 'lost',
                 started_at = created_at, lease_expires_at = created_at",
        ).await;
        let worker = server.beside(Role::Worker, &db, |config| {
            config.metrics.listen = Some("127.0.0.1:0".parse().unwrap());
        }).await;
        server.completed(job.id).await;
        assert_eq!(Samples::of(&worker).await.get("jobs_rescued_total", "-"), 1.0);
        worker.stop().await;
    }

    async fn what_waits_is_told_by_provider_and_priority(db: TestDatabase) {
        let server = metered(Role::Api, &db).await;
        let feature = server.scripted_feature().await;
        let mut asked = scripted_request(feature, &Script::new(&["succeed"]));
        asked.priority = 7;
        asked.input.as_mut().unwrap().variations = 3;
        let job = server.create(asked).await.1.remove(0);
        let watch = server.watch(job.id).await;
        let samples = Samples::of(&server).await;
        assert_eq!(samples.get("queue_jobs", "priority=7,provider=scripted,state=ready"), 3.0);
        assert_eq!(samples.get("queue_jobs", "priority=7,provider=scripted,state=paused"), 0.0);
        assert!(samples.get("queue_oldest_seconds", "priority=7,provider=scripted") >= 0.0);
        assert_eq!(samples.get("watches", "-"), 1.0);
        assert_eq!(samples.has("database_connections"), db.backend == Backend::Postgres);
        drop(watch);
    }

    async fn what_others_make_up_is_one_name(db: TestDatabase) {
        let server = metered(Role::All, &db).await;
        let browser = crate::support::http::browser();
        for path in ["made/up", "made-up-too", "readyz"] {
            browser.get(format!("{}/{path}", server.url())).send().await.unwrap();
        }
        let samples = Samples::of(&server).await;
        assert_eq!(samples.get("call_duration_seconds_count", "code=404,rpc=other"), 2.0);
        assert_eq!(samples.get("call_duration_seconds_count", "code=200,rpc=readyz"), 1.0);
        let answer = browser.get(format!("{}/metrics", server.url())).send().await.unwrap();
        assert_eq!(answer.status(), 404, "the port of the clients tells nothing");
    }
}
