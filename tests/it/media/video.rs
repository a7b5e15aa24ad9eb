//! Videos of the built-in provider, read by other programs than ours: FFmpeg's tools, and a browser.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use atelier::config::Config;
use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, CreateTemplateRequest, FeatureProperties,
    GenerationInput, Media, MediaRole, MediaType, OutputSettings, TemplateData,
};
use atelier::server::Role;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::browser::page::Page;
use crate::support::client::{Client, plain_template, request_for};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::server::{TestServer, within};
use crate::support::structure::structure;

const PROMPT: &str = "Đêm nhạc acoustic: vé từ 150k\n20h00, thứ bảy 22/11";

on_both_databases! {
    async fn a_prompt_becomes_a_video_that_plays_everywhere(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.catalogue.install_starter = true).await;
        let (feature, template) = server.starter("short_video", "event_teaser").await;
        let settings = OutputSettings { width: Some(180), height: Some(320), duration_seconds: Some(2), ..Default::default() };
        let video = make(&server, CreateRequestRequest {
            template_id: Some(template),
            ..video_request(feature, settings, 7)
        }).await;
        assert_eq!((video.format.as_str(), video.media_type()), ("mp4", MediaType::Video));
        assert_eq!((video.width, video.height), (180, 320));
        assert_eq!((video.duration_seconds, video.duration_ms), (Some(2), Some(2000)));

        let file = Downloaded::of(&video).await;
        assert_eq!(file.content_type, "video/mp4");
        // What comes behind, such as the recipe, no player needs.
        let mut boxes = boxes(&file.bytes);
        boxes.retain(|kind| kind != "free");
        assert_eq!(boxes[..3], ["ftyp", "moov", "mdat"]);
        let probed = file.probe();
        assert_plays(&probed, (180, 320), 30, 60);
        let stream = &probed["streams"][0];
        for key in ["color_space", "color_transfer", "color_primaries"] {
            assert_eq!(stream[key], "bt709", "{stream}");
        }
        assert_eq!(stream["color_range"], "tv");
        assert_eq!(probed["streams"].as_array().unwrap().len(), 2);
        assert_eq!(probed["streams"][1]["codec_name"], "aac", "its music");
        file.decodes();
        assert_ne!(file.frame(0), file.frame(59), "nothing moves");
    }

    async fn the_same_seed_gives_the_same_file(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = video_feature(&server, 12).await;
        let settings = OutputSettings { width: Some(96), height: Some(64), duration_seconds: Some(1), ..Default::default() };
        let mut made = Vec::new();
        for seed in [3, 3, 4] {
            made.push(make(&server, video_request(feature, settings.clone(), seed)).await.sha256);
        }
        assert_eq!(made[0], made[1]);
        assert_ne!(made[0], made[2]);
    }

    async fn a_gif_repeats_and_lasts_as_long(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = video_feature(&server, 30).await;
        let settings = OutputSettings {
            format: Some("gif".to_owned()), width: Some(121), height: Some(91), duration_seconds: Some(2), ..Default::default()
        };
        let gif = make(&server, video_request(feature, settings, 7)).await;
        assert_eq!((gif.format.as_str(), gif.media_type()), ("gif", MediaType::Video));
        assert_eq!((gif.width, gif.height, gif.duration_ms), (121, 91, Some(2000)));

        let file = Downloaded::of(&gif).await;
        assert_eq!(file.content_type, "image/gif");
        assert!(file.bytes.windows(11).any(|part| part == b"NETSCAPE2.0"));
        let probed = file.probe();
        assert_eq!(probed["streams"][0]["codec_name"], "gif");
        assert_eq!(size(&probed["streams"][0]), (121, 91));
        assert!((seconds(&probed["format"]["duration"]) - 2.0).abs() <= 0.05, "{probed}");
        assert_eq!(probed["streams"][0]["avg_frame_rate"], "20/1");
        file.decodes();
        // Equal frames at the end are one.
        assert_ne!(file.frame(0), file.frame(30), "nothing moves");
    }
}

// The rest is the provider's and the encoder's own matter, so SQLite is enough.

#[tokio::test(flavor = "multi_thread")]
async fn sizes_rates_and_lengths_are_what_was_asked_for() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let server = TestServer::start(&db).await;
    // H.264 has even sides: an odd one grows by a pixel.
    for (rate, asked, shown, duration) in [
        (24, (128, 72), (128, 72), 1),
        (10, (161, 121), (162, 122), 1),
        (25, (64, 114), (64, 114), 3),
        (60, (66, 66), (66, 66), 1),
        (1, (80, 64), (80, 64), 5),
    ] {
        let feature = video_feature(&server, rate).await;
        let settings = OutputSettings {
            width: Some(asked.0),
            height: Some(asked.1),
            duration_seconds: Some(duration),
            ..Default::default()
        };
        let video = make(&server, video_request(feature, settings, 5)).await;
        assert_eq!((video.width, video.height), shown);
        let file = Downloaded::of(&video).await;
        let frames = (rate * duration) as usize;
        assert_plays(&file.probe(), shown, rate, frames);
        file.decodes();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_video_template_of_the_catalogue_makes_a_video() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let server =
        TestServer::start_with(&db, |config| config.catalogue.install_starter = true).await;
    for name in [
        "sale_countdown",
        "event_teaser",
        "quote_motion",
        "product_reveal",
    ] {
        let (feature, template) = server.starter("short_video", name).await;
        let settings = OutputSettings {
            width: Some(128),
            height: Some(128),
            duration_seconds: Some(1),
            ..Default::default()
        };
        let video = make(
            &server,
            CreateRequestRequest {
                template_id: Some(template),
                ..video_request(feature, settings, 5)
            },
        )
        .await;
        assert_plays(&Downloaded::of(&video).await.probe(), (128, 128), 30, 30);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_style_that_moves_in_no_known_way_fails_with_a_sentence() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    // One that is not configured with the provider cannot ask it.
    let unaware = |config: &mut Config| config.executor.providers = vec!["scripted".to_owned()];
    let server = TestServer::start_as(Role::Api, &db, unaware).await;
    let feature = video_feature(&server, 10).await;
    let style = json!({ "animation": { "pan": "sideways" } });
    let template = server
        .add_template(CreateTemplateRequest {
            template_data: Some(TemplateData {
                style: Some(structure(&style)),
                ..Default::default()
            }),
            ..plain_template(feature, "sideways")
        })
        .await;
    let (_, jobs) = server
        .create(CreateRequestRequest {
            template_id: Some(template.id),
            ..request_for(feature)
        })
        .await;
    let _worker = server.beside(Role::Worker, &db, |_| ()).await;
    let ended = server.ended(jobs[0].id).await;
    assert_eq!(ended.code(), "PROVIDER_REJECTED_INPUT");
    let message = ended.job.error.unwrap().message;
    assert!(message.contains("style.animation.pan"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_plays_the_video() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let server = TestServer::start(&db).await;
    let feature = video_feature(&server, 30).await;
    let settings = OutputSettings {
        width: Some(128),
        height: Some(72),
        duration_seconds: Some(1),
        ..Default::default()
    };
    let video = make(&server, video_request(feature, settings, 5)).await;
    let mut page = Page::open("film", &video.download_url);
    let ready = page.tells("ready").await;
    assert_eq!(
        (&ready["width"], &ready["height"]),
        (&json!(128), &json!(72))
    );
    assert_eq!(ready["duration"], 1.0);
    let played = page.tells("played").await;
    assert_eq!(played["time"], 1.0, "{played}");
    assert!(played["frames"].as_u64().unwrap() > 1, "{played}");
    page.closes().await;
}

/// A feature of the built-in provider without templates.
async fn video_feature(server: &Client, rate: i32) -> i64 {
    let feature = CreateFeatureRequest {
        name: format!("video_at_{rate}"),
        category: MediaType::Video.into(),
        properties: Some(FeatureProperties {
            provider: "builtin".to_owned(),
            frame_rate: rate,
            ..Default::default()
        }),
        ..Default::default()
    };
    server.add_feature(feature).await.id
}

fn video_request(feature: i64, settings: OutputSettings, seed: i64) -> CreateRequestRequest {
    CreateRequestRequest {
        user_prompt: PROMPT.to_owned(),
        input: Some(GenerationInput {
            seed: Some(seed),
            output: Some(settings),
            ..Default::default()
        }),
        ..request_for(feature)
    }
}

/// What a request for one video makes.
async fn make(server: &Client, asked: CreateRequestRequest) -> Media {
    let (_, jobs) = server.create(asked).await;
    server.completed(jobs[0].id).await;
    let media = server.media_of(jobs[0].id).await;
    let mut originals = media
        .into_iter()
        .filter(|media| media.role() == MediaRole::Original);
    originals.next().unwrap()
}

/// Holds what every player needs of an MP4 file; all frames are there and last equally long.
fn assert_plays(probed: &Value, shown: (i32, i32), rate: i32, frames: usize) {
    let stream = &probed["streams"][0];
    assert_eq!(stream["codec_name"], "h264", "{stream}");
    assert_eq!(stream["profile"], "Constrained Baseline", "{stream}");
    assert_eq!(stream["pix_fmt"], "yuv420p", "{stream}");
    assert_eq!(size(stream), shown, "{stream}");
    for key in ["r_frame_rate", "avg_frame_rate"] {
        assert_eq!(stream[key], format!("{rate}/1"), "{key} in {stream}");
    }
    let length = frames as f64 / f64::from(rate);
    for duration in [&stream["duration"], &probed["format"]["duration"]] {
        assert!(
            (seconds(duration) - length).abs() <= 0.05,
            "{duration}, not {length}"
        );
    }
    let packets = probed["packets"].as_array().unwrap();
    let is_picture = |packet: &&Value| packet["codec_type"] == "video";
    let packets: Vec<&Value> = packets.iter().filter(is_picture).collect();
    assert_eq!(packets.len(), frames);
    for (packet, number) in packets.iter().zip(0_i64..) {
        let of = |key: &str| packet[key].as_i64().unwrap();
        assert_eq!(of("pts"), number * of("duration"), "{packet}");
        assert_eq!(of("dts"), of("pts"), "{packet}");
        // Where a player may begin: every two seconds.
        let is_key = packet["flags"].as_str().unwrap().starts_with('K');
        assert_eq!(
            is_key,
            number % i64::from(rate * 2) == 0,
            "{number}: {packet}"
        );
    }
}

fn size(stream: &Value) -> (i32, i32) {
    let side = |key: &str| i32::try_from(stream[key].as_i64().unwrap()).unwrap();
    (side("width"), side("height"))
}

fn seconds(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

/// The types of the boxes at the top of an MP4 file.
fn boxes(mut file: &[u8]) -> Vec<String> {
    let mut kinds = Vec::new();
    while !file.is_empty() {
        let length = u32::from_be_bytes(file[..4].try_into().unwrap());
        kinds.push(String::from_utf8(file[4..8].to_vec()).unwrap());
        file = &file[length as usize..];
    }
    kinds
}

/// A file as whoever has its link gets it, in a folder for other programs.
struct Downloaded {
    content_type: String,
    bytes: Vec<u8>,
    path: PathBuf,
    _folder: TempDir,
}

impl Downloaded {
    async fn of(media: &Media) -> Self {
        let answer = within(browser().get(&media.download_url).send())
            .await
            .unwrap();
        let content_type = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        let bytes = answer.bytes().await.unwrap().to_vec();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("video.{}", media.format));
        std::fs::write(&path, &bytes).unwrap();
        Self {
            content_type,
            bytes,
            path,
            _folder: folder,
        }
    }

    /// What ffprobe finds: format, streams and packets.
    fn probe(&self) -> Value {
        let options = "-v error -show_format -show_streams -show_packets -of json";
        let output = run("ffprobe", options, &self.path, "");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Holds that FFmpeg decodes the whole without a word.
    fn decodes(&self) {
        let output = run(
            "ffmpeg",
            "-v error -xerror -nostdin -i",
            &self.path,
            "-f null -",
        );
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.is_empty(), "{told}");
    }

    /// The pixels of a frame, by its number from 0.
    fn frame(&self, number: usize) -> Vec<u8> {
        let only = format!("-vf select=eq(n\\,{number}) -frames:v 1 -f rawvideo -pix_fmt rgb24 -");
        let output = run("ffmpeg", "-v error -nostdin -i", &self.path, &only);
        assert!(!output.stdout.is_empty(), "there is no frame {number}");
        output.stdout
    }
}

/// Runs a program of FFmpeg over a file.
fn run(program: &str, before: &str, file: &Path, after: &str) -> Output {
    let output = Command::new(program)
        .args(before.split_whitespace())
        .arg(file)
        .args(after.split_whitespace())
        .output();
    let output =
        output.unwrap_or_else(|error| panic!("{program} is needed for the tests: {error}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {told}");
    output
}
