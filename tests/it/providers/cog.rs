//! A real cog server, as a container of Replicate's runs it, without the container.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use atelier::config::ProviderConfig;
use atelier::rpc::proto::{
    CancelJobRequest, CreateFeatureRequest, CreateRequestRequest, FeatureProperties, JobStatus,
    MediaType,
};
use serde_json::json;

use crate::support::client::{request_for, scripted_feature};
use crate::support::database::on_both_databases;
use crate::support::provider::provider;
use crate::support::python::programs;
use crate::support::server::{TestServer, within};
use crate::support::structure::structure;

on_both_databases! {
    async fn a_real_cog_server_draws_fails_and_is_stopped_and_runs_nothing_twice(db: TestDatabase) {
        let cog = Cog::start(programs().await);
        let server = TestServer::start_with(&db, |config| {
            config.providers.insert("cog".to_owned(), cog.provider());
        }).await;

        let drawn = server.create(cog.ask(&server, "draw", 0).await).await.1.remove(0);
        let ended = server.ended(drawn.id).await;
        assert_eq!(ended.job.status(), JobStatus::Completed, "{:?}", ended.job);
        let media = server.media_of(drawn.id).await;
        assert!(media.iter().any(|media| media.width > 0), "{media:?}");

        let failed = server.create(cog.ask(&server, "fail", 0).await).await.1.remove(0);
        let ended = server.ended(failed.id).await;
        assert_eq!(ended.code(), "PROVIDER_FAILED", "{:?}", ended.job);
        assert!(!ended.job.error.unwrap().message.contains("no such thing"), "its words are for operators");

        let stopped = server.create(cog.ask(&server, "stop", 60).await).await.1.remove(0);
        cog.runs("stop").await;
        let stop = CancelJobRequest { id: stopped.id, stop_processing: true };
        server.jobs().cancel_job(stop).await.unwrap();
        cog.said("Prediction cancelled").await;

        let runs = fs::read_to_string(cog.folder.path().join("runs")).unwrap();
        assert_eq!(runs, "draw\nfail\nstop\n");
    }

    async fn a_real_cog_server_calls_when_it_has_drawn_failed_and_been_stopped(db: TestDatabase) {
        let cog = Cog::start(programs().await);
        let server = TestServer::start_with(&db, |config| {
            config.providers.insert("cog".to_owned(), cog.provider_that_calls());
        }).await;

        let drawn = server.create(cog.ask(&server, "draw", 0).await).await.1.remove(0);
        let ended = server.ended(drawn.id).await;
        assert_eq!(ended.job.status(), JobStatus::Completed, "{:?}", ended.job);
        let media = server.media_of(drawn.id).await;
        assert!(media.iter().any(|media| media.width > 0), "{media:?}");

        let failed = server.create(cog.ask(&server, "fail", 0).await).await.1.remove(0);
        let ended = server.ended(failed.id).await;
        assert_eq!(ended.code(), "PROVIDER_FAILED", "{:?}", ended.job);
        assert!(ended.job.error.unwrap().detail.contains("no such thing"), "its words are for operators");

        let stopped = server.create(cog.ask(&server, "stop", 60).await).await.1.remove(0);
        cog.runs("stop").await;
        let stop = CancelJobRequest { id: stopped.id, stop_processing: true };
        server.jobs().cancel_job(stop).await.unwrap();
        cog.said("Prediction cancelled").await;
        assert_eq!(server.ended(stopped.id).await.job.status(), JobStatus::Cancelled);

        let runs = fs::read_to_string(cog.folder.path().join("runs")).unwrap();
        assert_eq!(runs, "draw\nfail\nstop\n");
    }
}

/// `tests/python/cog/square.py` in a cog server, killed when this value is dropped.
struct Cog {
    process: Child,
    url: String,
    /// Holds the file `runs`, with a line for each, and the log.
    folder: tempfile::TempDir,
}

impl Cog {
    fn start(programs: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(programs.join("python"));
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        command
            .args(["-B", "-m", "cog.server.http", "--host", "127.0.0.1"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/cog"))
            .envs([
                ("PATH", path.as_str()),
                ("COG_PREDICT_TYPE_STUB", "square.py:Square"),
                ("PORT", "0"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let mut address = String::new();
        let started = lines.any(|line| {
            if let Some((_, rest)) = line.split_once("server on ") {
                address = rest.split('"').next().unwrap().to_owned();
            }
            line.contains("Server ready") || line.contains("Prediction worker ready")
        });
        assert!(started, "cog ended");
        let mut log = fs::File::create(folder.path().join("log")).unwrap();
        std::thread::spawn(move || {
            for line in lines {
                use std::io::Write;
                writeln!(log, "{line}").unwrap();
            }
        });
        Self {
            process,
            url: format!("http://{address}/"),
            folder,
        }
    }

    fn table(&self) -> Vec<String> {
        let common = ["kind=task", "profile=cog", r#"makes=["image"]"#].map(str::to_owned);
        common
            .into_iter()
            .chain([format!("base_url={}", self.url)])
            .collect()
    }

    fn provider(&self) -> ProviderConfig {
        provider(&self.table())
    }

    fn provider_that_calls(&self) -> ProviderConfig {
        let calls = ["webhooks=true", "poll_every=10m"].map(str::to_owned);
        provider(&[self.table(), calls.to_vec()].concat())
    }

    /// A request whose run takes so many seconds.
    async fn ask(&self, server: &TestServer, prompt: &str, seconds: u32) -> CreateRequestRequest {
        let settings = json!({ "seconds": seconds, "runs": self.folder.path().join("runs") });
        let feature = server.add_feature(CreateFeatureRequest {
            category: MediaType::Image.into(),
            properties: Some(FeatureProperties {
                provider: "cog".to_owned(),
                settings: Some(structure(&settings)),
                ..Default::default()
            }),
            ..scripted_feature(prompt)
        });
        CreateRequestRequest {
            user_prompt: prompt.to_owned(),
            ..request_for(feature.await.id)
        }
    }

    async fn runs(&self, prompt: &str) {
        self.wait_for("runs", prompt).await;
    }

    async fn said(&self, words: &str) {
        self.wait_for("log", words).await;
    }

    async fn wait_for(&self, file: &str, words: &str) {
        let path = self.folder.path().join(file);
        let has = || fs::read_to_string(&path).is_ok_and(|text| text.contains(words));
        within(async {
            while !has() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}

impl Drop for Cog {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
