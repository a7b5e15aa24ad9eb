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
        for (case, calls) in [("while it is waited for", false), ("and calls", true)] {
            let cog = Cog::start(programs().await);
            let server = TestServer::start_with(&db, |config| {
                config.providers.insert("cog".to_owned(), cog.provider(calls));
            }).await;
            let ask = async |prompt, seconds| {
                let asked = cog.ask(&server, case, prompt, seconds).await;
                server.create(asked).await.1.remove(0).id
            };

            let drawn = ask("draw", 0).await;
            let ended = server.ended(drawn).await;
            assert_eq!(ended.job.status(), JobStatus::Completed, "{case}: {:?}", ended.job);
            let media = server.media_of(drawn).await;
            assert!(media.iter().any(|media| media.width > 0), "{case}: {media:?}");

            let ended = server.ended(ask("fail", 0).await).await;
            assert_eq!(ended.code(), "PROVIDER_FAILED", "{case}: {:?}", ended.job);
            let error = ended.job.error.unwrap();
            assert!(!error.message.contains("no such thing"), "{case}: its words are for operators");
            assert!(error.detail.contains("no such thing"), "{case}: {}", error.detail);

            let stopped = ask("stop", 60).await;
            cog.runs("stop").await;
            let stop = CancelJobRequest { id: stopped, stop_processing: true };
            server.jobs().cancel_job(stop).await.unwrap();
            cog.said("Prediction cancelled").await;
            assert_eq!(cog.all_runs(), "draw\nfail\nstop\n", "{case}");
            server.stop().await;
        }
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

    /// One that is waited for, or that calls.
    fn provider(&self, calls: bool) -> ProviderConfig {
        let base = format!("base_url={}", self.url);
        let calls = format!("webhooks={calls}");
        let table = [
            "kind=task",
            "profile=cog",
            "poll_every=10m",
            r#"makes=["image"]"#,
            &base,
            &calls,
        ];
        provider(&table)
    }

    /// One line each.
    fn all_runs(&self) -> String {
        fs::read_to_string(self.folder.path().join("runs")).unwrap()
    }

    /// A request whose run takes so many seconds.
    async fn ask(
        &self,
        server: &TestServer,
        case: &str,
        prompt: &str,
        seconds: u32,
    ) -> CreateRequestRequest {
        let settings = json!({ "seconds": seconds, "runs": self.folder.path().join("runs") });
        let feature = server.add_feature(CreateFeatureRequest {
            category: MediaType::Image.into(),
            properties: Some(FeatureProperties {
                provider: "cog".to_owned(),
                settings: Some(structure(&settings)),
                ..Default::default()
            }),
            ..scripted_feature(&format!("{prompt} {case}").replace(' ', "-"))
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
