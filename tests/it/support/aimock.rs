//! aimock, which stands in for several services and is by other people. It counts what is submitted, and can misbehave.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::http::browser;
use crate::support::server::within;

const PROGRAM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/node/node_modules/@copilotkit/aimock/dist/cli.js"
);

/// A running stand-in; killed when this value is dropped.
pub(crate) struct Aimock {
    process: Child,
    url: String,
    _folder: TempDir,
}

impl Aimock {
    /// Answers every call for media with one of these files.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fixtures = folder.path().join("fixtures.json");
        std::fs::write(&fixtures, fixtures_of(folder.path()).to_string()).unwrap();
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
fn fixtures_of(folder: &std::path::Path) -> Value {
    let made = |file: &str, source: &str, more: &[&str]| {
        let path = folder.join(file);
        let mut command = Command::new("ffmpeg");
        command
            .args(["-v", "error", "-f", "lavfi", "-i", source])
            .args(more)
            .arg(&path);
        assert!(command.status().unwrap().success(), "{file}");
        BASE64_STANDARD.encode(std::fs::read(path).unwrap())
    };
    let picture = made("p.png", "testsrc2=size=64x64:rate=1", &["-frames:v", "1"]);
    let sound = made("s.wav", "sine=440:duration=1", &["-ar", "8000"]);
    let clip = made(
        "v.mp4",
        "testsrc2=size=64x64:rate=5",
        &["-t", "1", "-pix_fmt", "yuv420p"],
    );
    json!({ "fixtures": [
        { "match": { "endpoint": "image" }, "response": { "image": { "b64Json": picture, "revisedPrompt": "a teapot" } } },
        { "match": { "endpoint": "speech" }, "response": { "audio": sound, "format": "wav" } },
        { "match": { "endpoint": "video" },
          "response": { "video": { "id": "v1", "status": "completed", "b64": clip, "cost": 0.25, "duration": 1 } } },
    ] })
}
