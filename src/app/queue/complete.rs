//! An attempt has made something: the job is completed together with the rows of its files, see docs/domain.md#media.

use std::{slice, time::Duration};

use serde_json::json;

use crate::{
    app::App,
    domain::{Error, JsonMap, MediaRole},
    entity::job,
    media::{Facts, Inspected, StorageKey},
    store::{
        self, Transaction,
        media::NewMedia,
        queue::{self, Changed, Lease},
    },
};

/// What a file's metadata say by our own finding: a provider's word for it does not count, not even where we say nothing.
const OURS: [&str; 18] = [
    "role",
    "format",
    "sha256",
    "width",
    "height",
    "duration_ms",
    "fps",
    "video_codec",
    "audio_codec",
    "channels",
    "sample_rate",
    "undecoded",
    "original_id",
    "thumbnail_size",
    "recipe_not_embedded",
    "seed",
    "variation",
    "index",
];

/// A file of an attempt that stands in the storage already.
#[derive(Clone, Debug)]
pub struct StoredFile {
    pub key: StorageKey,
    pub role: MediaRole,
    pub inspected: Inspected,
    /// The size that a thumbnail was asked for in, in pixels on its longest side; a smaller original makes a smaller one.
    pub thumbnail_size: Option<u32>,
    /// Why the file does not hold its recipe although it should.
    pub recipe_not_embedded: Option<String>,
}

/// What a provider made, with what was made of it.
#[derive(Clone, Debug)]
pub struct StoredOutput {
    pub file: StoredFile,
    pub seed: Option<u32>,
    /// What the provider tells of the file.
    pub metadata: JsonMap,
    /// In the order of their rows.
    pub derived: Vec<StoredFile>,
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
        let now = self.clock.queue();
        self.change_jobs(async |tx, changed| {
            let completed = queue::complete(tx, lease, metadata.into(), now).await?;
            let Some(completed) = completed else {
                return Ok(None);
            };
            self.insert_media(tx, &completed, outputs).await?;
            changed.moved(slice::from_ref(&completed.job), None)?;
            Ok(Some(completed.job))
        })
        .await
    }

    /// All originals first, so that their ids tell the order, and then what was made of each.
    async fn insert_media(
        &self,
        tx: &Transaction,
        completed: &Changed,
        outputs: &[StoredOutput],
    ) -> Result<(), Error> {
        // The database's time, at which the job has ended.
        let (job, now) = (&completed.job, completed.job.updated_at);
        let new = |file, metadata| NewMedia {
            deleted_at: completed.request_deleted_at,
            ..self.describe(file, metadata)
        };
        let originals = outputs.iter().enumerate().map(|(index, output)| {
            let mut metadata = output.metadata.clone();
            metadata.retain(|key, _| !OURS.contains(&key.as_str()));
            metadata.extend(placed(job, index, output));
            new(&output.file, metadata)
        });
        let originals = store::media::insert(tx, job, originals.collect(), now).await?;
        let mut derived = Vec::new();
        for (index, (output, original)) in outputs.iter().zip(originals).enumerate() {
            for file in &output.derived {
                let mut metadata = placed(job, index, output);
                metadata.insert("original_id".to_owned(), json!(original));
                derived.push(new(file, metadata));
            }
        }
        store::media::insert(tx, job, derived, now).await?;
        Ok(())
    }

    /// The row of a file. What was found out about it stands above what is told of it.
    fn describe(&self, file: &StoredFile, mut metadata: JsonMap) -> NewMedia {
        let facts = &file.inspected.facts;
        metadata.extend(described(&file.inspected));
        if let Some(size) = file.thumbnail_size {
            metadata.insert("thumbnail_size".to_owned(), json!(size));
        }
        if let Some(why) = &file.recipe_not_embedded {
            metadata.insert("recipe_not_embedded".to_owned(), json!(why));
        }
        NewMedia {
            media_url: self.storage.object_url(&file.key),
            storage_key: file.key.path().to_owned(),
            media_type: facts.format.kind().into(),
            role: file.role,
            file_size: i64::try_from(facts.file_size).unwrap_or(i64::MAX),
            duration: facts.duration.map(whole_seconds),
            sha256: facts.sha256.clone(),
            metadata,
            blurhash: file.inspected.blurhash.clone(),
            tiny_preview: file.inspected.tiny_preview.clone(),
            deleted_at: None,
        }
    }
}

/// Which output of which variation a file belongs to, and what made it.
fn placed(job: &job::Model, index: usize, output: &StoredOutput) -> JsonMap {
    let mut metadata = JsonMap::from_iter([
        ("variation".to_owned(), json!(job.variation)),
        ("index".to_owned(), json!(index)),
    ]);
    if let Some(seed) = output.seed {
        metadata.insert("seed".to_owned(), json!(seed));
    }
    metadata
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

/// Rounded up, see docs/domain.md#facts-of-a-file.
fn whole_seconds(duration: Duration) -> i32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// Rounded to the nearest.
fn milliseconds(duration: Duration) -> i64 {
    i64::try_from((duration.as_nanos() + 500_000) / 1_000_000).unwrap_or(i64::MAX)
}
