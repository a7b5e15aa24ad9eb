//! Files as people and services really produce them, which other readers stumble over: each is taken for what it is, or refused
//! with a reason that names its kind.

mod endings;
mod pictures;
mod sounds;
mod videos;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use atelier::rpc::proto::{CreateRequestRequest, Job, Media, MediaType, OutputSettings};
use codec::{Format, Kind};
use prost_types::Value;
use tempfile::TempDir;

use crate::support::client::{Client, scripted_request};
use crate::support::recording::scripted_feature_of;
use crate::support::script::Script;
use crate::support::watching::Ended;

/// One of the files in the folder of cases.
pub(super) fn case(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/media/wild/cases");
    fs::read(PathBuf::from(folder).join(name)).unwrap()
}

/// A server's features whose jobs deliver the files that they are given.
pub(super) struct Wild<'a> {
    client: &'a Client,
    features: BTreeMap<i32, i64>,
    folder: TempDir,
}

impl<'a> Wild<'a> {
    pub(super) async fn on(client: &'a Client) -> Self {
        let mut features = BTreeMap::new();
        for kind in [MediaType::Image, MediaType::Video, MediaType::Audio] {
            let mut feature = scripted_feature_of(kind, &format!("wild_{}", kind as i32));
            let properties = feature.properties.get_or_insert_default();
            let formats = Format::ALL.iter().filter(|it| is_of(**it, kind));
            properties.formats = formats.map(|format| format.to_string()).collect();
            properties.thumbnail_sizes = vec![64];
            properties.omit_thumbnails = false;
            properties.make_poster = kind != MediaType::Image;
            properties.make_preview = kind == MediaType::Video;
            let feature = client.add_feature(feature).await;
            features.insert(kind as i32, feature.id);
        }
        let folder = tempfile::tempdir().unwrap();
        Self {
            client,
            features,
            folder,
        }
    }

    /// A job whose only output is this, wanted in these formats, once it has ended.
    pub(super) async fn deliver(&self, kind: MediaType, content: &[u8], formats: &[&str]) -> Ended {
        let path = self.folder.path().join("delivered");
        fs::write(&path, content).unwrap();
        let script = Script::delivering(&path);
        let mut asked: CreateRequestRequest =
            scripted_request(self.features[&(kind as i32)], &script);
        asked.input.get_or_insert_default().output = Some(OutputSettings {
            formats: formats.iter().map(|&format| format.to_owned()).collect(),
            ..OutputSettings::default()
        });
        let (_, jobs) = self.client.create(asked).await;
        self.client.ended(jobs[0].id).await
    }

    /// All media of a job that must be completed, the original first.
    pub(super) async fn taken(
        &self,
        kind: MediaType,
        content: &[u8],
        formats: &[&str],
    ) -> (Job, Vec<Media>) {
        let ended = self.deliver(kind, content, formats).await;
        assert!(ended.job.error.is_none(), "{:?}", ended.job.error);
        let media = ended.media();
        (ended.job, media)
    }

    /// The same of an original alone.
    pub(super) async fn original(&self, kind: MediaType, content: &[u8]) -> Media {
        self.taken(kind, content, &[]).await.1.remove(0)
    }

    /// The sentence of a job that must have failed for its output.
    pub(super) async fn refused(&self, kind: MediaType, content: &[u8]) -> String {
        let ended = self.deliver(kind, content, &[]).await;
        assert_eq!(ended.code(), "PROVIDER_INVALID_OUTPUT");
        ended.job.error.unwrap().message
    }

    /// The bytes of a media.
    pub(super) async fn content(&self, media: &Media) -> Vec<u8> {
        self.client.content_of(media).await
    }
}

fn is_of(format: Format, kind: MediaType) -> bool {
    kind == match format.kind() {
        Kind::Image => MediaType::Image,
        Kind::Video => MediaType::Video,
        Kind::Audio => MediaType::Audio,
    }
}

/// What is told of a file under a name.
pub(super) fn told<'a>(media: &'a Media, key: &str) -> Option<&'a Value> {
    media.metadata.as_ref()?.fields.get(key)
}

/// The same of a job's output.
pub(super) fn told_of_job<'a>(job: &'a Job, key: &str) -> Option<&'a Value> {
    job.output_metadata.as_ref()?.fields.get(key)
}
