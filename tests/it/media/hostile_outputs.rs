//! Files that a provider delivers in error or in malice: each ends in a documented reason, within the limits, and the
//! next job is as if nothing had been.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, GenerationInput, JobStatus, Media, MediaType,
    OutputSettings,
};
use codec::samples::ffmpeg;
use reqwest::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use tempfile::TempDir;

use crate::support::client::{Client, request_for, scripted_feature, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::http::get;
use crate::support::process::Process;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::watching::Ended;

const PAGE: &[u8] = b"<!doctype html><script>alert(document.cookie)</script>";
const INVALID: &str = "PROVIDER_INVALID_OUTPUT";
const TOO_LARGE: &str = "OUTPUT_TOO_LARGE";

on_both_databases! {
    async fn each_hostile_file_ends_in_its_reason_and_the_next_job_runs(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let files = Files::new();
        let studio = Studio::on(&server).await;
        for (media_type, file, reason) in files.hostile() {
            let ended = studio.deliver(media_type, &file).await;
            assert_eq!((ended.code(), ended.job.status()), (reason, JobStatus::Failed), "{}", file.display());
            assert_eq!(ended.job.attempt, 1, "{} was tried again", file.display());
            assert!(!ended.job.error.as_ref().unwrap().message.is_empty());
            assert_eq!(server.media_of(ended.job.id).await, []);
        }
        let media = studio.accepted(MediaType::Image, &files.picture()).await;
        assert_eq!(media.format, "jpg");
    }

    async fn a_file_is_what_its_bytes_are_whatever_its_name_says(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let files = Files::new();
        let studio = Studio::on(&server).await;
        let misnamed = files.write("clip.mp4", &fs::read(files.picture()).unwrap());
        let media = studio.accepted(MediaType::Image, &misnamed).await;
        assert_eq!((media.format.as_str(), media.media_type()), ("jpg", MediaType::Image));
        let refused = studio.deliver(MediaType::Video, &misnamed).await;
        assert_eq!(refused.code(), INVALID);
    }

    async fn a_picture_with_a_page_in_its_comment_is_only_ever_shown_as_a_picture(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let files = Files::new();
        let mut content = fs::read(files.picture()).unwrap();
        let comment = [&[0xFF, 0xFE, 0, PAGE.len() as u8 + 2], PAGE].concat();
        content.splice(2..2, comment);
        let file = files.write("page.html", &content);
        let media = Studio::on(&server).await.accepted(MediaType::Image, &file).await;
        let served = get(media.download_url.parse().unwrap()).await;
        assert_eq!(served.headers()[CONTENT_TYPE], "image/jpeg");
        assert_eq!(served.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
        // With its page, which nobody runs.
        let shown = within(served.bytes()).await.unwrap();
        assert!(shown.windows(PAGE.len()).any(|part| part == PAGE));
    }

    async fn an_encoder_that_runs_into_its_time_limit_is_ended_and_the_next_job_runs(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.executor.job_timeout = Duration::from_secs(3);
            // So that the next job shows whether this one still holds the slot.
            config.executor.concurrency = 1;
        }).await;
        let of = |category: MediaType, name: &str| CreateFeatureRequest {
            category: category.into(),
            properties: None,
            ..scripted_feature(name)
        };
        let feature = server.add_feature(of(MediaType::Video, "endless")).await.id;
        let output = OutputSettings { width: Some(1_280), height: Some(720), duration_seconds: Some(120), ..Default::default() };
        let input = Some(GenerationInput { output: Some(output), ..Default::default() });
        let (_, jobs) = server.create(CreateRequestRequest { input, ..request_for(feature) }).await;
        let ended = server.ended(jobs[0].id).await;
        assert_eq!((ended.code(), ended.job.status()), ("JOB_TIMED_OUT", JobStatus::Failed));

        let feature = server.add_feature(of(MediaType::Image, "quick")).await.id;
        let output = OutputSettings { width: Some(64), height: Some(64), ..Default::default() };
        let input = Some(GenerationInput { output: Some(output), ..Default::default() });
        let (_, jobs) = server.create(CreateRequestRequest { input, ..request_for(feature) }).await;
        assert_eq!(server.ended(jobs[0].id).await.job.status(), JobStatus::Completed);
    }

    async fn a_server_that_takes_hostile_files_stays_small(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let server = Process::serve(&db, media.path(), &["executor.lease=30s"]).await;
        let files = Files::new();
        let studio = Studio::on(&server).await;
        studio.accepted(MediaType::Image, &files.picture()).await;
        let before = server.most_memory();
        for (media_type, file, _) in files.hostile() {
            let ended = studio.deliver(media_type, &file).await;
            assert_eq!(ended.job.status(), JobStatus::Failed, "{}", file.display());
        }
        let grown = server.most_memory() - before;
        // The bomb alone would take 100 MB as pixels.
        assert!(grown < 64 * 1024, "{grown} KiB more than for a picture");
    }
}

/// A feature of each media type, whose jobs deliver the files that they are given.
struct Studio<'a> {
    client: &'a Client,
    features: [(MediaType, i64); 3],
}

impl<'a> Studio<'a> {
    async fn on(client: &'a Client) -> Self {
        let mut features =
            [MediaType::Image, MediaType::Video, MediaType::Audio].map(|kind| (kind, 0));
        for (media_type, id) in &mut features {
            let feature = CreateFeatureRequest {
                category: (*media_type).into(),
                ..scripted_feature(&media_type.as_str_name().to_lowercase())
            };
            *id = client.add_feature(feature).await.id;
        }
        Self { client, features }
    }

    /// A job whose only output is this file, once it has ended.
    async fn deliver(&self, media_type: MediaType, file: &Path) -> Ended {
        let of_type = |(kind, _): &&(MediaType, i64)| *kind == media_type;
        let feature = self.features.iter().find(of_type).unwrap().1;
        let script = Script::delivering(file);
        let (_, jobs) = self.client.create(scripted_request(feature, &script)).await;
        self.client.ended(jobs[0].id).await
    }

    async fn accepted(&self, media_type: MediaType, file: &Path) -> Media {
        let ended = self.deliver(media_type, file).await;
        assert_eq!(
            ended.job.status(),
            JobStatus::Completed,
            "{:?}",
            ended.job.error
        );
        self.client.media_of(ended.job.id).await.remove(0)
    }
}

/// The files of a test, mostly made by FFmpeg.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn hostile(&self) -> Vec<(MediaType, PathBuf, &'static str)> {
        let (image, video, audio) = (MediaType::Image, MediaType::Video, MediaType::Audio);
        vec![
            (image, self.write("empty.png", b""), INVALID),
            (image, self.write("page.png", PAGE), INVALID),
            (image, self.bomb(), TOO_LARGE),
            (image, self.picture_and_page(), INVALID),
            (video, self.truncated("-c:v libx264", "late.mp4"), INVALID),
            (
                video,
                self.truncated("-c:v libx264 -movflags +faststart", "early.mp4"),
                INVALID,
            ),
            (video, self.long_animation(), TOO_LARGE),
            (audio, self.lying_wav(), INVALID),
            (audio, self.silence(), TOO_LARGE),
            (audio, self.silence_of_unknown_length(), TOO_LARGE),
        ]
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn made(&self, arguments: &str, name: &str) -> PathBuf {
        let (_, extension) = name.rsplit_once('.').unwrap();
        self.write(name, &ffmpeg(arguments, extension))
    }

    fn picture(&self) -> PathBuf {
        self.made("-f lavfi -i testsrc=size=64x64 -frames:v 1", "picture.jpg")
    }

    fn picture_and_page(&self) -> PathBuf {
        let content = [&fs::read(self.picture()).unwrap(), PAGE].concat();
        self.write("both.jpg", &content)
    }

    /// 100 million black pixels in a few kilobytes.
    fn bomb(&self) -> PathBuf {
        let source = "-f lavfi -i color=black:size=10000x10000 -frames:v 1 -pix_fmt monob";
        self.made(source, "bomb.png")
    }

    /// The first two thirds of a video.
    fn truncated(&self, options: &str, name: &str) -> PathBuf {
        let source = "-f lavfi -i testsrc=size=96x64:rate=10:duration=2";
        let path = self.made(&format!("{source} {options}"), name);
        let content = fs::read(&path).unwrap();
        self.write(name, &content[..content.len() * 2 / 3])
    }

    /// 100,000 frames of one pixel.
    fn long_animation(&self) -> PathBuf {
        let mut content = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
        for _ in 0..100_000 {
            content.extend(b"\x21\xf9\x04\0\x04\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0");
        }
        content.push(0x3B);
        self.write("long.gif", &content)
    }

    /// Declares ten times the samples that it has.
    fn lying_wav(&self) -> PathBuf {
        let mut content = fs::read(self.made("-f lavfi -i sine=duration=1", "liar.wav")).unwrap();
        let size = content.windows(4).position(|name| name == b"data").unwrap() + 4;
        content[size..size + 4].copy_from_slice(&882_000_u32.to_le_bytes());
        self.write("liar.wav", &content)
    }

    /// Six hours in a few hundred kilobytes.
    fn silence(&self) -> PathBuf {
        let source = "-f lavfi -i anullsrc=sample_rate=1000:channel_layout=mono -t 21600";
        self.made(source, "silence.flac")
    }

    /// The same with a header that tells neither the length nor the checksum of the samples.
    fn silence_of_unknown_length(&self) -> PathBuf {
        let mut content = fs::read(self.silence()).unwrap();
        // STREAMINFO follows the marker and a block header: 36 bits of length from bit 108 on, then the checksum
        // (RFC 9639, section 8.2).
        content[21] &= 0xF0;
        content[22..42].fill(0);
        self.write("unknown.flac", &content)
    }
}
