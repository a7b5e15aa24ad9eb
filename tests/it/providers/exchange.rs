//! Every profile that ships is played against an exchange that was written from the vendor's description: the files
//! of the folder `exchanges`. What is asked must be exactly what the exchange says, and so must be what comes of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use atelier::config::ProviderConfig;
use atelier::domain::profile::{Profile, SHIPPED};
use atelier::domain::{AddressRules, JsonMap, MediaType};
use atelier::provider::openai::OpenAi;
use atelier::provider::task::TaskService;
use atelier::provider::{
    Content, Output, Picture, Polled, ProgressSender, Provider, ProviderError, Submitted, Task,
};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use codec::Format;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::support::link_host::picture;
use crate::support::provider::{fetcher, provider};

const KEY: &str = "key-of-nobody";
const SECRET: &str = "secret-of-nobody";
/// Seconds since 1970.
const NOW: i64 = 1_800_000_000;
const SUBMISSION_KEY: &str = "5d2c5f0e-8a1b-4c6d-9e3f-0a1b2c3d4e5f";
/// It is to be told to nobody who is not to call.
const WEBHOOK_URL: &str = "https://atelier.example/webhooks/1/secret";
/// Below which the service's paths begin.
const BASE: &str = "/at";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    /// What it was written from, and when that was read.
    source: String,
    /// What every call to the service must have, and no other may.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// What all jobs have.
    job: JsonMap,
    /// What the submission has besides where the service is to call: the first case is played so, too.
    webhook: Option<Webhook>,
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Webhook {
    /// Fields of its body, as JSON.
    Body(String),
    /// The query of its path.
    Query(String),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(skip)]
    webhooks: bool,
    #[serde(default)]
    job: JsonMap,
    /// How many pictures the request brings, for profiles that take them.
    #[serde(default)]
    pictures: usize,
    step: Vec<Step>,
    ends: Ends,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// The method, and the path with its query; of files the whole path.
    call: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// JSON that must come.
    body: Option<String>,
    /// The same, of the fields of a form.
    form: Option<String>,
    #[serde(default = "ok")]
    status: u16,
    /// JSON; else the file.
    answer: Option<String>,
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Ends {
    /// So many files, each the one that the service has; and what is told of them.
    Done(usize, JsonMap),
    /// The submission is refused, with this kind of error.
    Refused(String),
    /// The task has failed, with this kind of error, and so the service says.
    Failed(String, String),
    /// It was cancelled by us before the last call.
    Cancelled,
}

fn ok() -> u16 {
    200
}

impl Exchange {
    /// The cases, and the first once more with a call that is to come.
    fn cases(&self) -> Vec<Case> {
        let mut cases = self.case.clone();
        let Some(webhook) = &self.webhook else {
            return cases;
        };
        let mut case = cases[0].clone();
        case.name.push_str(", and the service is to call");
        case.webhooks = true;
        let submission = &mut case.step[0];
        match webhook {
            Webhook::Query(query) => submission.call.push_str(query),
            Webhook::Body(fields) => {
                let json = |text: &str| serde_json::from_str::<JsonMap>(text).unwrap();
                let mut body = json(submission.body.as_ref().unwrap());
                body.extend(json(fields));
                submission.body = Some(Value::Object(body).to_string());
            }
        }
        cases.push(case);
        cases
    }
}

/// What is played, and what came that should not.
#[derive(Default)]
struct Played {
    exchange_headers: BTreeMap<String, String>,
    steps: Vec<Step>,
    next: usize,
    places: Vec<(&'static str, String)>,
    file: Vec<u8>,
    wrong: Vec<String>,
}

type Stage = Arc<Mutex<Played>>;

/// Two hosts: the service, and where it lays its files.
struct Hosts {
    stage: Stage,
    base: String,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Hosts {
    async fn start(exchange: &Exchange, case: &Case, media_type: MediaType) -> Self {
        let stage = Stage::default();
        let (service, service_task) = host(stage.clone(), true).await;
        let (files, files_task) = host(stage.clone(), false).await;
        let base = format!("{service}{BASE}");
        let file = file(media_type);
        {
            let mut played = stage.lock().unwrap();
            let encode = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
            played.exchange_headers = exchange.headers.clone();
            played.steps = case.step.clone();
            played.places = vec![
                ("{base}", base.clone()),
                ("{files}", files),
                ("{file}", encode(&file)),
                ("{picture}", encode(&picture())),
                ("{key}", SUBMISSION_KEY.to_owned()),
            ];
            played.file = file;
        }
        Self {
            stage,
            base,
            _tasks: [service_task, files_task],
        }
    }
}

async fn host(stage: Stage, is_service: bool) -> (String, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| async move {
        stage
            .lock()
            .unwrap()
            .answer(is_service, &method, &uri, &headers, &body)
    };
    let router = Router::new().fallback(answer);
    let serving = async move { axum::serve(listener, router).await.unwrap() };
    (address, AbortOnDropHandle::new(tokio::spawn(serving)))
}

impl Played {
    fn answer(
        &mut self,
        is_service: bool,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Response {
        let path = uri.path_and_query().unwrap().as_str();
        let path = match is_service {
            true => path.strip_prefix(BASE).unwrap_or("not below the base"),
            false => path,
        };
        let call = format!("{method} {path}");
        let Some(step) = self.steps.get(self.next).cloned() else {
            self.wrong.push(format!("{call}: too much"));
            return StatusCode::NOT_FOUND.into_response();
        };
        self.next += 1;
        let placed = |text: &str| {
            let filled = |text: String, (place, value): &(&str, String)| text.replace(place, value);
            self.places.iter().fold(text.to_owned(), filled)
        };
        let json = |text: &String| -> Value { serde_json::from_str(&placed(text)).unwrap() };
        let said = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        let mut found = BTreeMap::from([("call", (json!(placed(&step.call)), json!(call)))]);
        let general = self.exchange_headers.iter().filter(|_| is_service);
        for (name, value) in general.chain(&step.headers) {
            found.insert(name, (json!(value), json!(said(name))));
        }
        if step.body.is_some() {
            found.insert(
                "content-type",
                (json!("application/json"), json!(said("content-type"))),
            );
        }
        let sent = match (body, said("content-type")) {
            ([], _) => Value::Null,
            (body, Some(kind)) if kind.starts_with("multipart/") => form(kind, body),
            (body, _) => serde_json::from_slice(body).unwrap(),
        };
        let expected = step.body.as_ref().or(step.form.as_ref()).map(json);
        found.insert("body", (expected.unwrap_or_default(), sent));
        let secret = headers
            .values()
            .any(|value| value.to_str().unwrap().contains(KEY));
        found.insert(
            "the key is sent",
            (
                json!(is_service && !self.exchange_headers.is_empty() && !self.signs()),
                json!(secret),
            ),
        );
        let answer = step.answer.as_ref().map(json);
        for (what, (expected, found)) in found {
            if expected != found {
                self.wrong.push(format!(
                    "{call}: {what}\n  must be {expected}\n  but is  {found}"
                ));
            }
        }
        let status = StatusCode::from_u16(step.status).unwrap();
        match answer {
            Some(answer) => (status, axum::Json(answer)).into_response(),
            None => (status, self.file.clone()).into_response(),
        }
    }

    /// Whether the key itself is never sent.
    fn signs(&self) -> bool {
        self.exchange_headers
            .values()
            .all(|value| !value.contains(KEY))
    }
}

/// The fields of a form; of a file its name, type and base64.
fn form(content_type: &str, body: &[u8]) -> Value {
    let (_, boundary) = content_type.split_once("boundary=").unwrap();
    // One character for each byte, so that files stay what they are.
    let text: String = body.iter().map(|byte| char::from(*byte)).collect();
    let mut fields = JsonMap::new();
    for part in text
        .split(&format!("--{boundary}"))
        .filter(|part| part.contains("\r\n\r\n"))
    {
        let (head, content) = part.split_once("\r\n\r\n").unwrap();
        let content: Vec<u8> = content
            .trim_end_matches("\r\n")
            .chars()
            .map(|it| it as u8)
            .collect();
        let named = |key: &str| {
            let (_, rest) = head.split_once(&format!(" {key}=\""))?;
            rest.split('"').next().map(str::to_owned)
        };
        let value = match named("filename") {
            Some(file) => format!("{file} {}", BASE64_STANDARD.encode(&content)),
            None => String::from_utf8(content).unwrap(),
        };
        fields.insert(named("name").unwrap(), value.into());
    }
    fields.into()
}

/// A file of this type.
fn file(media_type: MediaType) -> Vec<u8> {
    match media_type {
        MediaType::Image => picture(),
        // No more than what such files begin with: a fetcher looks no further.
        MediaType::Video => b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2\0\0\0\x08free".to_vec(),
        MediaType::Audio => b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0".to_vec(),
    }
}

/// The kinds of tables that can name the profile.
fn kinds(name: &str) -> &'static [&'static str] {
    match name {
        "openai" | "openrouter" | "xai" => &["task", "openai"],
        _ => &["task"],
    }
}

fn provider_of(kind: &str, name: &str, base: &str, webhooks: bool) -> Box<dyn Provider> {
    let profile = match kind {
        "openai" => vec![format!("videos={name}"), r#"makes=["video"]"#.to_owned()],
        _ => vec![
            format!("profile={name}"),
            format!("api_secret={SECRET}"),
            format!("webhooks={webhooks}"),
            "webhook_secret=whsec_YSBzZWNyZXQgb2Ygd2ViaG9va3M=".to_owned(),
        ],
    };
    let common = [
        format!("kind={kind}"),
        format!("base_url={base}"),
        format!("api_key={KEY}"),
    ];
    let config = provider(&common.into_iter().chain(profile).collect::<Vec<_>>());
    let rules = AddressRules {
        allow: vec!["127.0.0.1/32".parse().unwrap()],
        ..AddressRules::default()
    };
    let files = fetcher(rules);
    match config {
        ProviderConfig::Task(task) => {
            Box::new(TaskService::new(name.to_owned(), task, &files, || NOW))
        }
        ProviderConfig::OpenAi(openai) => Box::new(OpenAi::new(name.to_owned(), openai, &files)),
        other => panic!("{other:?}"),
    }
}

fn task(exchange: &Exchange, case: &Case) -> Task {
    let mut job = json!({
        "provider": "service", "prompt": "A red kite", "user_prompt": "A red kite", "seed": 7,
        "width": 1280, "height": 720, "aspect_ratio": "16:9", "model": "painter-2",
    });
    let fields = job.as_object_mut().unwrap();
    fields.extend(exchange.job.clone());
    fields.extend(case.job.clone());
    let media_type = fields.remove("media_type").unwrap();
    let picture = |index: usize| Picture {
        field: format!("user_media_urls[{index}]"),
        content: picture().into(),
        format: Format::Png,
    };
    Task {
        job_id: 1,
        attempt: 1,
        media_type: serde_json::from_value(media_type).unwrap(),
        input: serde_json::from_value(job).unwrap(),
        pictures: (0..case.pictures).map(picture).collect(),
        submission_key: SUBMISSION_KEY.to_owned(),
        webhook_url: Some(WEBHOOK_URL.parse().unwrap()),
        answer: None,
        progress: ProgressSender::channel().0,
        cancelled: CancellationToken::new(),
    }
}

/// As the executor does it: a task is polled until it ends, or cancelled when all but the last call is made.
async fn run(provider: &dyn Provider, mut task: Task, stage: &Stage, cancels: bool) -> Ends {
    let id = match provider.submit(&task).await {
        Ok(Submitted::Done(output)) => return done(output, stage),
        Ok(Submitted::Accepted { task_id, .. }) => task_id,
        Err(error) => return Ends::Refused(kind(&error)),
    };
    task.pictures.clear();
    loop {
        let left = {
            let played = stage.lock().unwrap();
            played.steps.len().saturating_sub(played.next)
        };
        if cancels && left == 1 {
            provider.cancel(&task, &id).await.unwrap();
            return Ends::Cancelled;
        }
        match provider.poll(&task, &id).await {
            Ok(Polled::Running { .. }) if left > 0 => {}
            Ok(Polled::Done(output)) => return done(output, stage),
            Ok(Polled::Failed(error)) => return Ends::Failed(kind(&error), error.to_string()),
            // The executor asks again, and believes what comes again and again.
            Err(error) if left == 1 => return Ends::Failed(kind(&error), error.to_string()),
            other => panic!("{other:?}: {:?}", stage.lock().unwrap().wrong),
        }
    }
}

fn done(output: Output, stage: &Stage) -> Ends {
    let file = stage.lock().unwrap().file.clone();
    for made in &output.files {
        let bytes = match &made.content {
            Content::Memory(bytes) => bytes.to_vec(),
            Content::File(held) => std::fs::read(held).unwrap(),
        };
        assert_eq!(bytes, file);
    }
    Ends::Done(output.files.len(), output.metadata)
}

fn kind(error: &ProviderError) -> String {
    let shown = format!("{error:?}");
    shown.split(['(', ' ']).next().unwrap().to_owned()
}

fn exchange(name: &str) -> Exchange {
    let path = format!(
        "{}/tests/it/providers/exchanges/{name}.toml",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[tokio::test]
async fn every_profile_that_ships_speaks_as_its_vendor_describes() {
    let mut wrong = Vec::new();
    for (name, _) in SHIPPED {
        let exchange = exchange(name);
        assert!(exchange.source.contains("2026"), "{name}: read when?");
        let cases = exchange.cases();
        let cases = kinds(name)
            .iter()
            .flat_map(|kind| cases.iter().map(move |case| (kind, case)));
        for (kind, case) in cases.filter(|(kind, case)| **kind == "task" || !case.webhooks) {
            let task = task(&exchange, case);
            let hosts = Hosts::start(&exchange, case, task.media_type).await;
            let provider = provider_of(kind, name, &hosts.base, case.webhooks);
            let cancels = case.ends == Ends::Cancelled;
            let ends = run(&*provider, task, &hosts.stage, cancels).await;
            let played = hosts.stage.lock().unwrap();
            let told = format!(
                "{name} as {kind}, {}: {}",
                case.name,
                played.wrong.join("\n")
            );
            let as_said = match (&case.ends, &ends) {
                (Ends::Failed(expected, part), Ends::Failed(kind, words)) => {
                    expected == kind && words.contains(part)
                }
                (expected, ends) => expected == ends,
            };
            if !as_said || played.next != played.steps.len() || !played.wrong.is_empty() {
                wrong.push(format!(
                    "{told}\n  ends as {ends:?} after {} calls",
                    played.next
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_profile_has_an_exchange_in_which_it_succeeds_and_one_in_which_it_fails() {
    for (name, _) in SHIPPED {
        let ends: Vec<_> = exchange(name)
            .case
            .into_iter()
            .map(|case| case.ends)
            .collect();
        let succeeds = ends
            .iter()
            .any(|it| matches!(it, Ends::Done(files, _) if *files > 0));
        let fails = ends
            .iter()
            .any(|it| matches!(it, Ends::Refused(_) | Ends::Failed(..)));
        assert!(succeeds && fails, "{name}");
    }
}

/// What only calls tell is played with a server that makes them.
#[test]
fn every_profile_of_a_service_that_calls_has_an_exchange_in_which_it_is_asked_to() {
    for (name, text) in SHIPPED {
        let webhook = Profile::parse(name, text).unwrap().base.webhook;
        let asked = webhook.is_some_and(|webhook| !webhook.answers);
        assert_eq!(exchange(name).webhook.is_some(), asked, "{name}");
    }
}

#[test]
fn the_page_on_services_names_every_profile() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/providers/services.md");
    let page = std::fs::read_to_string(path).unwrap();
    for (name, _) in SHIPPED {
        assert!(page.contains(&format!(" | `{name}` | ")), "{name}");
    }
}
