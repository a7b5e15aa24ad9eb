use std::time::Duration;

use serde_json::json;

use crate::{
    domain::{Error, JsonMap},
    entity::{MediaRole, job},
    media::{Facts, Inspected, StorageKey},
    store::{
        self,
        media::NewMedia,
        queue::{self, Lease},
    },
};

use super::App;

/// A file of an attempt that stands in the storage already.
#[derive(Clone, Debug)]
pub struct StoredOutput {
    pub key: StorageKey,
    pub inspected: Inspected,
    pub seed: Option<u32>,
    /// What the provider tells of the file.
    pub metadata: JsonMap,
}

impl App {
    /// Ends an attempt with its outputs: the job, its media and its request change together. `None` if the lease is lost;
    /// nothing has changed then.
    ///
    /// Media of a request that was deleted meanwhile are deleted with it, and come back with it.
    pub async fn complete_job(
        &self,
        lease: &Lease,
        outputs: &[StoredOutput],
        metadata: JsonMap,
    ) -> Result<Option<job::Model>, Error> {
        let tx = self.store.begin().await?;
        let Some(job) = queue::complete(&tx, lease, metadata.into(), self.clock.queue()).await?
        else {
            tx.rollback().await?;
            return Ok(None);
        };
        // Locked, so that it is not deleted before its media are there to go with it.
        let request = store::request::lock(&tx, job.request_id).await?;
        for (index, output) in outputs.iter().enumerate() {
            let media = NewMedia {
                deleted_at: request.deleted_at,
                ..self.describe(&job, index, output)
            };
            store::media::insert(&tx, &job, media, self.clock.now()).await?;
        }
        self.commit_transition(tx, std::slice::from_ref(&job), None)
            .await?;
        Ok(Some(job))
    }

    fn describe(&self, job: &job::Model, index: usize, output: &StoredOutput) -> NewMedia {
        let facts = &output.inspected.facts;
        let mut metadata = output.metadata.clone();
        metadata.extend(described(&output.inspected));
        metadata.insert("variation".to_owned(), json!(job.variation));
        metadata.insert("index".to_owned(), json!(index));
        if let Some(seed) = output.seed {
            metadata.insert("seed".to_owned(), json!(seed));
        }
        NewMedia {
            media_url: self.storage.object_url(&output.key),
            storage_key: output.key.path().to_owned(),
            media_type: facts.format.media_type(),
            role: MediaRole::Original,
            file_size: i64::try_from(facts.file_size).unwrap_or(i64::MAX),
            duration: facts.duration.map(whole_seconds),
            sha256: facts.sha256.clone(),
            metadata,
            blurhash: output.inspected.blurhash.clone(),
            tiny_preview: output.inspected.tiny_preview.clone(),
            deleted_at: None,
        }
    }
}

/// What was found out about a file, as its metadata.
fn described(inspected: &Inspected) -> JsonMap {
    let Facts {
        format,
        file_size: _,
        sha256,
        size,
        duration,
        frame_rate,
        video_codec,
        sound,
    } = &inspected.facts;
    let known = [
        ("format", Some(json!(format.as_str()))),
        ("sha256", Some(json!(sha256))),
        ("width", size.map(|(width, _)| json!(width))),
        ("height", size.map(|(_, height)| json!(height))),
        (
            "duration_ms",
            duration.map(|length| json!(milliseconds(length))),
        ),
        ("fps", frame_rate.map(|rate| json!(rate))),
        (
            "video_codec",
            video_codec.as_ref().map(|codec| json!(codec)),
        ),
        (
            "audio_codec",
            sound.as_ref().map(|sound| json!(sound.codec)),
        ),
        (
            "channels",
            sound.as_ref().map(|sound| json!(sound.channels)),
        ),
        (
            "sample_rate",
            sound.as_ref().map(|sound| json!(sound.sample_rate)),
        ),
        (
            "undecoded",
            inspected.undecoded.as_ref().map(|why| json!(why)),
        ),
    ];
    known
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}

/// Rounded up, as design 3 says.
fn whole_seconds(duration: Duration) -> i32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// Rounded to the nearest.
fn milliseconds(duration: Duration) -> i64 {
    i64::try_from((duration.as_nanos() + 500_000) / 1_000_000).unwrap_or(i64::MAX)
}
