//! An attempt has made something: the job is completed together with the rows of its files, see docs/domain.md#media.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use serde_json::Value as Json;

use crate::{
    app::{
        App,
        gather::{Gathered, Lane, Verdict},
        job::ChangedJobs,
        storage::Spare,
    },
    domain::{Error, JsonMap, MediaMetadata, MediaNotes, MediaRole},
    entity::job,
    media::{Inspected, StorageKey},
    store::{
        self, Transaction,
        media::{Added, NewMedia},
        queue::{self, Lease},
    },
};

use super::endings::Endings;

/// A file of an attempt that stands in the storage already.
#[derive(Clone, Debug)]
pub struct StoredFile {
    /// Where it stands.
    pub key: StorageKey,
    /// What it is to the job.
    pub role: MediaRole,
    /// What was found out about it.
    pub inspected: Inspected,
    /// The size that a thumbnail was asked for in, in pixels on its longest side; a smaller original makes a smaller one.
    pub thumbnail_size: Option<u32>,
    /// Why the file does not hold its recipe although it should.
    pub recipe_not_embedded: Option<String>,
}

/// What a provider made, with what was made of it.
#[derive(Clone, Debug)]
pub struct StoredOutput {
    /// The original.
    pub file: StoredFile,
    /// The one that made it, if the provider knows.
    pub seed: Option<u32>,
    /// What the provider tells of the file.
    pub metadata: JsonMap,
    /// In the order of their rows.
    pub derived: Vec<StoredFile>,
}

/// An attempt that has made something.
pub(in crate::app) struct Completion {
    lease: Lease,
    outputs: Vec<StoredOutput>,
    metadata: Json,
}

/// Its job, and the files that no row names.
type Completed = (Box<job::Model>, Vec<Spare>);

impl Gathered for Completion {
    type Done = Option<Completed>;

    const NAME: &'static str = "completions";

    fn lane<'a>(&self, app: &'a App) -> &'a Lane<Self> {
        &app.gathering.completions
    }

    fn jobs(&self) -> usize {
        1
    }

    fn write<'a>(
        app: &'a App,
        tx: &'a Transaction,
        batch: &'a [Arc<Self>],
        changed: &'a mut ChangedJobs,
    ) -> BoxFuture<'a, Result<Vec<Verdict<Self::Done>>, Error>> {
        app.complete_all(tx, batch, changed).boxed()
    }
}

impl App {
    /// Ends an attempt with its outputs: the job, its media and its request change together. `None` if the lease is lost;
    /// nothing has changed then. Files that the user has already are not kept twice.
    pub async fn complete_job(
        &self,
        lease: &Lease,
        outputs: &[StoredOutput],
        metadata: JsonMap,
    ) -> Result<Option<job::Model>, Error> {
        let completion = Completion {
            lease: lease.clone(),
            outputs: outputs.to_vec(),
            metadata: metadata.into(),
        };
        let Some((completed, spare)) = self.write_gathered(completion).await? else {
            return Ok(None);
        };
        self.discard(spare).await;
        Ok(Some(*completed))
    }

    async fn complete_all(
        &self,
        tx: &Transaction,
        batch: &[Arc<Completion>],
        changed: &mut ChangedJobs,
    ) -> Result<Vec<Verdict<Option<Completed>>>, Error> {
        let endings = Endings::of(batch, |completion| &completion.lease);
        let given = endings.of_jobs.values();
        let given: Vec<_> = given.map(|it| (&it.lease, it.metadata.clone())).collect();
        let completed = queue::complete(tx, &given, self.clock.queue()).await?;
        let mut made = Vec::new();
        for job in &completed {
            made.extend(
                endings
                    .of_jobs
                    .get(&job.id)
                    .map(|it| (job, it.outputs.as_slice())),
            );
        }
        let spare = self.insert_media(tx, &made).await?;
        changed.moved(&completed, None)?;
        let completed = completed.into_iter().zip(spare);
        let completed = completed.map(|(job, spare)| (job.id, (Box::new(job), spare)));
        Ok(endings.verdicts(completed.collect()))
    }

    /// All originals first, so that their ids tell the order, and then what was made of each. Returns the files of each job that
    /// no row names.
    async fn insert_media(
        &self,
        tx: &Transaction,
        made: &[(&job::Model, &[StoredOutput])],
    ) -> Result<Vec<Vec<Spare>>, Error> {
        // The database's time, at which all of the jobs have ended.
        let Some(now) = made.first().map(|(job, _)| job.updated_at) else {
            return Ok(Vec::new());
        };
        let originals = made
            .iter()
            .map(|(job, outputs)| (*job, self.originals(job, outputs)));
        let originals: Vec<_> = originals.collect();
        let originals = store::media::insert(tx, &originals, now).await?;
        let derived = made.iter().zip(&originals);
        let derived = derived
            .map(|((job, outputs), originals)| (*job, self.derived(job, outputs, originals)));
        let derived: Vec<_> = derived.collect();
        let derived = store::media::insert(tx, &derived, now).await?;
        let rows = originals.iter().zip(&derived);
        let spare = made.iter().zip(rows).map(|((_, outputs), rows)| {
            let files = outputs.iter().map(|output| &output.file);
            let files = files.chain(outputs.iter().flat_map(|output| &output.derived));
            spare(files.zip(rows.0.iter().chain(rows.1)))
        });
        spare.collect()
    }

    fn originals(&self, job: &job::Model, outputs: &[StoredOutput]) -> Vec<NewMedia> {
        let describe = |(index, output): (usize, &StoredOutput)| {
            let mut metadata = placed(job, index, output);
            // A provider's word does not count for what we find out, not even where we say nothing.
            metadata.notes.extra = MediaMetadata::read(output.metadata.clone()).notes.extra;
            self.describe(&output.file, metadata)
        };
        outputs.iter().enumerate().map(describe).collect()
    }

    fn derived(
        &self,
        job: &job::Model,
        outputs: &[StoredOutput],
        originals: &[Added],
    ) -> Vec<NewMedia> {
        let mut derived = Vec::new();
        for (index, (output, original)) in outputs.iter().zip(originals).enumerate() {
            for file in &output.derived {
                let metadata = MediaMetadata {
                    original_id: Some(original.id),
                    ..placed(job, index, output)
                };
                derived.push(self.describe(file, metadata));
            }
        }
        derived
    }

    /// The row of a file, which belongs where `placed` says.
    fn describe(&self, file: &StoredFile, placed: MediaMetadata) -> NewMedia {
        let facts = &file.inspected.facts;
        NewMedia {
            media_url: self.storage.object_url(&file.key),
            storage_key: file.key.path().to_owned(),
            media_type: facts.format.kind().into(),
            role: file.role,
            file_size: i64::try_from(facts.file_size).unwrap_or(i64::MAX),
            duration: facts.duration.map(whole_seconds),
            sha256: facts.sha256.clone(),
            metadata: described(file, placed),
            blurhash: file.inspected.blurhash.clone(),
            tiny_preview: file.inspected.tiny_preview.clone(),
        }
    }
}

/// Those of the files that no row names, each once, with what is named instead.
fn spare<'a>(
    files: impl Iterator<Item = (&'a StoredFile, &'a Added)> + Clone,
) -> Result<Vec<Spare>, Error> {
    let named: BTreeSet<&str> = files.clone().map(|(_, row)| &*row.storage_key).collect();
    let mut spare = BTreeMap::new();
    for (file, row) in files {
        if !named.contains(file.key.path()) {
            spare.insert(
                file.key.path(),
                Spare {
                    key: file.key.clone(),
                    size: file.inspected.facts.file_size,
                    kept: StorageKey::from_path(&row.storage_key).map_err(Error::internal)?,
                },
            );
        }
    }
    Ok(spare.into_values().collect())
}

/// Which output of which variation a file belongs to, and what made it.
fn placed(job: &job::Model, index: usize, output: &StoredOutput) -> MediaMetadata {
    MediaMetadata {
        seed: output.seed.map(i64::from),
        notes: MediaNotes {
            variation: Some(job.variation),
            index: Some(index),
            ..MediaNotes::default()
        },
        ..MediaMetadata::default()
    }
}

/// Adds what was found out about a file.
fn described(file: &StoredFile, placed: MediaMetadata) -> MediaMetadata {
    let facts = &file.inspected.facts;
    let sound = facts.sound.as_ref();
    let small = |number: u32| i32::try_from(number).ok();
    MediaMetadata {
        format: Some(facts.format.to_string()),
        sha256: Some(facts.sha256.clone()),
        width: facts.size.and_then(|(width, _)| small(width)),
        height: facts.size.and_then(|(_, height)| small(height)),
        duration_ms: facts.duration.map(milliseconds),
        fps: facts.frame_rate,
        video_codec: facts.video_codec.clone(),
        audio_codec: sound.map(|sound| sound.codec.clone()),
        channels: sound.map(|sound| sound.channels.into()),
        sample_rate: sound.and_then(|sound| small(sound.sample_rate)),
        notes: MediaNotes {
            thumbnail_size: file.thumbnail_size,
            undecoded: file.inspected.undecoded.clone(),
            damaged: file.inspected.damaged.clone(),
            recipe_not_embedded: file.recipe_not_embedded.clone(),
            ..placed.notes
        },
        ..placed
    }
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
