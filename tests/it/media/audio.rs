//! Music: what the built-in provider hands over, and what comes out at the end, heard by other people's tools.

use std::path::Path;
use std::process::Command;

use atelier::domain::{JobInput, MediaType};
use atelier::provider::builtin::Builtin;
use atelier::provider::{
    Content, Output, Progress, ProgressSender, Provider, ProviderError, Submitted, Task,
};
use atelier::rpc::proto::{
    self, CreateRequestRequest, GenerationInput, ListFeaturesRequest, ListTemplatesRequest, Media,
    OutputSettings,
};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::support::client::USER;
use crate::support::database::on_both_databases;
use crate::support::http::browser;
use crate::support::server::{TestServer, within};
use crate::support::structure::value;

/// How far a file's length may be from the one asked for, in seconds.
const TOLERANCE: f64 = 0.05;
/// Root mean square of the samples, over full scale: quieter is as good as silent, louder is noise.
const LOUDNESS: std::ops::Range<f64> = 0.02..0.5;

#[tokio::test]
async fn the_built_in_provider_composes_what_is_asked_for() {
    let (task, mut progress) = task(json!({
        "prompt": "Nhạc vui cho quảng cáo", "format": "wav", "duration_seconds": 2, "seed": 5,
        "style": { "mood": "sad", "key": "A minor" }, "variables": { "mood": "happy", "ensemble": "", "tempo": 120 },
    }));
    let output = submit(&task).await.unwrap();
    assert_eq!(output.metadata["model"], "atelier-bed-1");
    assert_eq!(output.metadata["mood"], "happy", "the form's mood counts");
    assert_eq!(output.metadata["tempo_bpm"], 120);
    assert_eq!(output.metadata["key"], "A minor");
    assert_eq!(output.files.len(), 1);
    assert_eq!(output.files[0].seed, Some(5));
    assert_eq!(progress.borrow_and_update().message, "encoding");
    let wav = heard(&bytes(&output), "wav");
    assert_eq!(wav.codec, "pcm_s16le");
    assert_music(&wav, 2.0);
    assert_eq!(bytes(&submit(&task).await.unwrap()), bytes(&output));
}

#[tokio::test]
async fn a_piece_without_a_length_has_fifteen_seconds() {
    let (task, _) = task(json!({ "format": "flac" }));
    let flac = heard(&bytes(&submit(&task).await.unwrap()), "flac");
    assert_eq!(flac.codec, "flac");
    assert_music(&flac, 15.0);
}

#[tokio::test]
async fn what_cannot_be_composed_is_refused_with_a_sentence() {
    for (input, expected) in [
        (
            json!({ "duration_seconds": 601 }),
            "duration_seconds: expected 1 to 600 seconds of music, not 601",
        ),
        (
            json!({ "format": "mp3" }),
            "format: expected wav or flac, not mp3",
        ),
        (
            json!({ "style": { "tempo": 900 } }),
            "style.tempo: expected a whole number of beats per minute from 40 to 200",
        ),
    ] {
        let error = submit(&task(input).0).await.unwrap_err();
        assert_eq!(error, ProviderError::InvalidInput(expected.to_owned()));
    }
}

#[tokio::test]
async fn music_stops_when_its_attempt_must_end() {
    let (task, _) = task(json!({ "duration_seconds": 600 }));
    task.cancelled.cancel();
    assert_eq!(
        within(submit(&task)).await.unwrap_err(),
        ProviderError::Stopped
    );
}

on_both_databases! {
    async fn a_prompt_becomes_music_that_other_programs_play(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.catalogue.install_starter = true).await;
        for (template, format, codec, variable) in [
            ("upbeat_ad", "wav", "pcm_s16le", Some(("tempo", json!(132)))),
            ("tet_festival", "flac", "flac", None),
        ] {
            let (_, jobs) = server.create(song(&server, template, format, variable).await).await;
            server.completed(jobs[0].id).await;
            let media = server.media_of(jobs[0].id).await;
            let media = media.iter().find(|media| media.format == format).unwrap();
            assert_eq!(media.media_type(), proto::MediaType::Audio);
            assert_eq!(media.duration_seconds, Some(3));
            assert!(!media.blurhash.is_empty());
            let file = heard(&content(media).await, format);
            assert_eq!(file.codec, codec);
            assert_music(&file, 3.0);
        }
    }
}

/// Three seconds in a template of the starter catalogue.
async fn song(
    server: &TestServer,
    template: &str,
    format: &str,
    variable: Option<(&str, Value)>,
) -> CreateRequestRequest {
    let features = server
        .features()
        .list_features(ListFeaturesRequest::default())
        .await;
    let features = features.unwrap().into_inner().features;
    let feature = features
        .iter()
        .find(|feature| feature.name == "soundtrack")
        .unwrap();
    let templates = ListTemplatesRequest {
        feature_id: feature.id,
        ..Default::default()
    };
    let templates = server.templates().list_templates(templates).await;
    let templates = templates.unwrap().into_inner().templates;
    let found = templates.iter().find(|known| known.name == template);
    let variables = variable.map(|(name, json)| (name.to_owned(), value(&json)));
    CreateRequestRequest {
        user_id: USER,
        feature_id: feature.id,
        template_id: Some(found.unwrap().id),
        user_prompt: "Khai trương quán cà phê".to_owned(),
        input: Some(GenerationInput {
            seed: Some(11),
            variables: variables.into_iter().collect(),
            output: Some(OutputSettings {
                format: Some(format.to_owned()),
                duration_seconds: Some(3),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn content(media: &Media) -> Vec<u8> {
    let response = within(browser().get(&media.download_url).send())
        .await
        .unwrap();
    assert!(response.status().is_success(), "{response:?}");
    within(response.bytes()).await.unwrap().into()
}

fn task(input: Value) -> (Task, watch::Receiver<Progress>) {
    let mut whole = json!({
        "provider": "builtin", "prompt": "x", "user_prompt": "x", "seed": 1, "width": 64, "height": 64,
        "aspect_ratio": "1:1",
    });
    let fields = whole.as_object_mut().unwrap();
    fields.extend(input.as_object().unwrap().clone());
    let (progress, receiver) = ProgressSender::channel();
    let task = Task {
        job_id: 1,
        attempt: 1,
        media_type: MediaType::Audio,
        input: serde_json::from_value::<JobInput>(whole).unwrap(),
        pictures: Vec::new(),
        webhook_url: None,
        answer: None,
        submission_key: String::new(),
        progress,
        cancelled: CancellationToken::new(),
    };
    (task, receiver)
}

async fn submit(task: &Task) -> Result<Output, ProviderError> {
    match Builtin::default().submit(task).await? {
        Submitted::Done(output) => Ok(output),
        accepted @ Submitted::Accepted { .. } => panic!("not done at once: {accepted:?}"),
    }
}

fn bytes(output: &Output) -> Vec<u8> {
    match &output.files[0].content {
        Content::Memory(bytes) => bytes.to_vec(),
        other @ Content::File(_) => panic!("not in memory: {other:?}"),
    }
}

/// What ffprobe and sox make of a file.
struct Heard {
    codec: String,
    sample_rate: String,
    channels: u64,
    /// Seconds, by the file's header and by its samples.
    lengths: [f64; 2],
    /// Root mean square and largest sample over full scale.
    loudness: f64,
    peak: f64,
}

fn heard(content: &[u8], extension: &str) -> Heard {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("music").with_extension(extension);
    std::fs::write(&path, content).unwrap();
    let options =
        "-v error -show_entries stream=codec_name,sample_rate,channels:format=duration -of json";
    let (told, _) = run("ffprobe", options.split(' '), &path, &[]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let stream = &told["streams"][0];
    let (_, statistics) = run("sox", [], &path, &["-n", "stat"]);
    let statistic = |name: &str| -> f64 {
        let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines = statistics.lines().map(squeezed);
        let line = lines
            .into_iter()
            .find(|line| line.starts_with(name))
            .unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    Heard {
        codec: stream["codec_name"].as_str().unwrap().to_owned(),
        sample_rate: stream["sample_rate"].as_str().unwrap().to_owned(),
        channels: stream["channels"].as_u64().unwrap(),
        lengths: [
            told["format"]["duration"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap(),
            statistic("Length"),
        ],
        loudness: statistic("RMS amplitude"),
        peak: statistic("Maximum amplitude").max(-statistic("Minimum amplitude")),
    }
}

/// Standard output and standard error.
fn run<'a>(
    program: &str,
    before: impl IntoIterator<Item = &'a str>,
    path: &Path,
    after: &[&str],
) -> (String, String) {
    let output = Command::new(program)
        .args(before)
        .arg(path)
        .args(after)
        .output();
    let output = output.unwrap_or_else(|error| {
        panic!("{program} is needed to check sounds: install it (ffmpeg and sox): {error}")
    });
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (printed, complained) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{program}: {complained}");
    (printed, complained)
}

fn assert_music(heard: &Heard, seconds: f64) {
    assert_eq!((heard.sample_rate.as_str(), heard.channels), ("44100", 2));
    for length in heard.lengths {
        assert!(
            (length - seconds).abs() < TOLERANCE,
            "{length} s, not {seconds}"
        );
    }
    assert!(
        LOUDNESS.contains(&heard.loudness),
        "loudness {}",
        heard.loudness
    );
    assert!(heard.peak < 0.95, "peak {}", heard.peak);
}
