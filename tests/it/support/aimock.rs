//! aimock, which stands in for several services and is by other people. It counts what is submitted, and can misbehave.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::routing::get;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::support::http::browser;
use crate::support::server::within;

const PROGRAM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/node/node_modules/@copilotkit/aimock/dist/cli.js"
);

/// The model of Ark's videos, whose fixtures are the answers themselves.
pub(crate) const MODEL_OF_ARK: &str = "doubao-seedance-1-5-pro-251215";

/// A running stand-in; killed when this value is dropped.
pub(crate) struct Aimock {
    process: Child,
    url: String,
    _folder: TempDir,
    _files: AbortOnDropHandle<()>,
}

impl Aimock {
    /// Answers every call for media with one of these files.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fixtures = folder.path().join("fixtures.json");
        let media = Media::made_in(folder.path());
        let (files, serving) = media.served().await;
        std::fs::write(&fixtures, media.fixtures(&files).to_string()).unwrap();
        let mut command = Command::new("node");
        command
            .arg(PROGRAM)
            .args(["--port", "0", "--fixtures"])
            .arg(fixtures);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url =
            lines.find_map(|line| Some(line.unwrap().split_once("listening on ")?.1.to_owned()));
        let url = url.expect("it ended: `scripts/web` installs it");
        // Whoever does not read is waited for.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            process,
            url,
            _folder: folder,
            _files: serving,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How often something was submitted with this path.
    pub(crate) async fn submissions(&self, path: &str) -> usize {
        let answer = within(browser().get(format!("{}/v1/_requests", self.url)).send()).await;
        let journal = within(answer.unwrap().bytes()).await.unwrap();
        let journal: Value = serde_json::from_slice(&journal).unwrap();
        let entries = journal.as_array().unwrap().iter();
        let submitted = entries.filter(|entry| entry["method"] == "POST" && entry["path"] == path);
        submitted.count()
    }

    /// Has it misbehave in this way, always.
    pub(crate) async fn misbehave(&self, how: &str) {
        let body = json!({ how: 1 }).to_string();
        let call = browser()
            .post(format!("{}/__aimock/chaos", self.url))
            .body(body);
        let answer = within(call.send()).await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }
}

impl Drop for Aimock {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Real files, made by ffmpeg.
struct Media {
    picture: Vec<u8>,
    sound: Vec<u8>,
    clip: Vec<u8>,
}

impl Media {
    fn made_in(folder: &std::path::Path) -> Self {
        let made = |file: &str, source: &str, more: &[&str]| {
            let path = folder.join(file);
            let mut command = Command::new("ffmpeg");
            command
                .args(["-v", "error", "-f", "lavfi", "-i", source])
                .args(more)
                .arg(&path);
            assert!(command.status().unwrap().success(), "{file}");
            std::fs::read(path).unwrap()
        };
        let clip = ["-t", "1", "-pix_fmt", "yuv420p"];
        Self {
            picture: made("p.png", "testsrc2=size=64x64:rate=1", &["-frames:v", "1"]),
            sound: made("s.wav", "sine=440:duration=1", &["-ar", "8000"]),
            clip: made("v.mp4", "testsrc2=size=64x64:rate=5", &clip),
        }
    }

    /// Where they lie for the protocols whose answers name addresses, which it gives as they are.
    async fn served(&self) -> (String, AbortOnDropHandle<()>) {
        let (picture, clip) = (self.picture.clone(), self.clip.clone());
        let files = Router::new()
            .route("/p.png", get(async || picture))
            .route("/v.mp4", get(async || clip));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, files).await.unwrap() });
        (url, AbortOnDropHandle::new(serving))
    }

    fn fixtures(&self, files: &str) -> Value {
        let encode = |file: &[u8]| BASE64_STANDARD.encode(file);
        let (picture, clip) = (format!("{files}/p.png"), format!("{files}/v.mp4"));
        json!({ "fixtures": [
            { "match": { "endpoint": "image" },
              "response": { "image": { "b64Json": encode(&self.picture), "revisedPrompt": "a teapot" } } },
            { "match": { "endpoint": "speech" }, "response": { "audio": encode(&self.sound), "format": "wav" } },
            { "match": { "endpoint": "fal" },
              "response": { "json": { "images": [{ "url": picture, "content_type": "image/png" }], "seed": 7, "has_nsfw_concepts": [false] } } },
            { "match": { "endpoint": "video", "model": MODEL_OF_ARK },
              "response": { "json": { "status": "succeeded", "content": { "video_url": clip }, "usage": { "total_tokens": 9 } } } },
            { "match": { "endpoint": "video" },
              "response": { "video": { "id": "v1", "status": "completed", "url": clip, "b64": encode(&self.clip), "cost": 0.25, "duration": 1 } } },
        ] })
    }
}
