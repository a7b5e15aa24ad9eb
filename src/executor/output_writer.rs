//! A provider's output becomes stored files: each is looked at, gets its recipe, and has further files made of it, see
//! docs/domain.md#variations-and-roles.

mod write_try;

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    app::StoredOutput,
    domain::{FileName, JsonMap, Recipe},
    media::{InspectError, Limits, Storage, StorageKey},
    provider::{Content, Moderation, Output, Task, clean, tell_withheld},
    store::queue::Lease,
    traces::Traced,
};

use super::{
    attempt_error::{AttemptError, invalid_output},
    stopwatch::Stopwatch,
};
use write_try::{WriteTry, Written};

/// Pauses between the tries to write an output while the processor is too busy for it.
const BUSY_PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// Writes a provider's output to the storage, with the further files that the job asks for.
pub(super) struct OutputWriter<'a> {
    pub(super) storage: &'a Storage,
    /// Who judges what was made.
    pub(super) moderation: &'a Moderation,
    pub(super) limits: Limits,
    pub(super) conversion_time: Duration,
    /// How long the attempt may take, on this stopwatch.
    pub(super) job_timeout: Duration,
    pub(super) stopwatch: &'a Stopwatch,
    /// What the attempt does now.
    pub(super) traced: &'a Traced,
    pub(super) lease: &'a Lease,
    pub(super) request_id: i64,
    /// The job's.
    pub(super) variation: i32,
    /// The name of the provider that made the output.
    pub(super) provider: &'a str,
    /// Whether it was told the job's seed.
    pub(super) sends_seed: bool,
    /// What it did not read of the job's input, by the fields of its request.
    pub(super) ignored_inputs: Vec<String>,
    pub(super) task: &'a Task,
}

impl OutputWriter<'_> {
    /// Returns what is stored, and the job's `output_metadata`. The rows come later, with the job's end: an object without a
    /// row is harmless.
    pub(super) async fn write(
        &self,
        output: &Output,
    ) -> Result<(Vec<StoredOutput>, JsonMap), AttemptError> {
        let mut metadata = clean::map(output.metadata.clone());
        metadata.insert("provider".to_owned(), self.provider.into());
        // One that was never sent has made nothing, and the service knows its own best.
        if self.sends_seed {
            let seed = metadata.entry("seed").or_insert(Value::Null);
            if seed.is_null() {
                *seed = self.task.input.seed.into();
            }
        }
        metadata.remove("omitted");
        metadata.remove("remarks");
        metadata.remove("ignored_inputs");
        if !self.ignored_inputs.is_empty() {
            metadata.insert("ignored_inputs".to_owned(), json!(self.ignored_inputs));
        }
        let recipe = Recipe::new(&self.task.input, self.provider, &metadata);
        metadata.insert("recipe".to_owned(), recipe.to_json().into());
        let written = self.write_files(output, &recipe).await?;
        if !written.omitted.is_empty() {
            metadata.insert("omitted".to_owned(), json!(written.omitted));
        }
        if !written.remarks.is_empty() {
            metadata.insert("remarks".to_owned(), json!(written.remarks));
        }
        tell_withheld(&mut metadata, written.withheld);
        Ok((written.outputs, metadata))
    }

    /// Tries again while there is only no thread for it.
    async fn write_files(&self, output: &Output, recipe: &Recipe) -> Result<Written, AttemptError> {
        for pause in BUSY_PAUSES {
            match WriteTry::of(self, recipe).write(output).await {
                Err(error) if error.retryable && !error.only_waits() => {
                    tracing::warn!(detail = error.failure.detail, "cannot write the output yet");
                    tokio::select! {
                        () = self.task.cancelled.cancelled() => break,
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                ended => return ended,
            }
        }
        let last = WriteTry::of(self, recipe).for_the_last_time();
        last.write(output).await
    }

    async fn read(&self, content: &Content) -> Result<Bytes, AttemptError> {
        let path = match content {
            Content::Memory(bytes) => return Ok(bytes.clone()),
            Content::File(path) => path,
        };
        let unreadable = |error: std::io::Error| {
            AttemptError::permanent(invalid_output(format!("{}: {error}", path.display())))
        };
        let size = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
        let max = self.limits.max_bytes;
        if size > max {
            return Err(InspectError::TooLarge { size, max }.into());
        }
        Ok(tokio::fs::read(path).await.map_err(unreadable)?.into())
    }

    /// How long making further files of the output may still take: so long that the rest of the job's time is left to store
    /// them. Without them the job has what is paid for.
    fn time_to_derive(&self) -> Duration {
        let time = self.job_timeout;
        (time - time / 8).saturating_sub(self.stopwatch.elapsed())
    }

    /// The time that it takes does not count. A stop ends the waiting for a storage that is away.
    async fn put(
        &self,
        key: &StorageKey,
        content: Bytes,
        name: FileName<'_>,
    ) -> Result<(), AttemptError> {
        let _standstill = self.stopwatch.stand_still();
        let hopeless = async {
            self.task.cancelled.cancelled().await;
            self.storage.gone().await;
        };
        let put = tokio::select! {
            put = self.storage.put(key, content, Some(name)) => put,
            () = hopeless => return Err(AttemptError::storage_away()),
        };
        put.map_err(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use codec::{Format, video};
    use image::RgbImage;

    use super::*;
    use crate::{
        domain::MediaType,
        media::{LinkSettings, StorageSettings, hold_conversions},
        provider::OutputFile,
    };

    const AMPLE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn making_further_files_ends_early_enough_to_keep_the_output_within_the_job_s_time() {
        let folder = tempfile::tempdir().unwrap();
        let job_timeout = Duration::from_secs(4);
        let input = json!({
            "provider": "scripted", "prompt": "", "user_prompt": "", "seed": 1, "width": 16, "height": 16,
            "aspect_ratio": "1:1", "format": "gif", "formats": ["gif", "mp4"], "derivatives": { "make_preview": true },
        });
        let (stopwatch, storage) = (Stopwatch::start(), storage(folder.path()));
        let writer = OutputWriter {
            storage: &storage,
            moderation: &Moderation::Off,
            limits: Limits {
                max_bytes: 1 << 20,
                max_pixels: 1 << 20,
                max_frames: 100,
                max_length: AMPLE,
                max_duration: AMPLE,
            },
            conversion_time: AMPLE,
            job_timeout,
            stopwatch: &stopwatch,
            traced: &Traced::default(),
            lease: &Lease {
                job_id: 1,
                token: "t".to_owned(),
            },
            request_id: 1,
            variation: 0,
            provider: "scripted",
            sends_seed: true,
            ignored_inputs: Vec::new(),
            task: &Task::unwatched(MediaType::Video, serde_json::from_value(input).unwrap()),
        };
        let mut gif = video::writer(Format::Gif, (16, 16), 10).unwrap();
        gif.push(&RgbImage::new(16, 16)).unwrap();
        let file = OutputFile {
            content: Content::Memory(gif.finish().unwrap()),
            seed: None,
            metadata: JsonMap::new(),
        };
        let output = Output {
            files: vec![file],
            ..Output::default()
        };

        let _held = hold_conversions().await;
        let (outputs, metadata) = writer.write(&output).await.unwrap();
        let took = stopwatch.elapsed();
        assert!(
            took >= job_timeout * 7 / 8 && took < job_timeout,
            "{took:?}"
        );
        assert!(outputs[0].derived.is_empty());
        let reason = "It took too long.";
        let omitted = json!([
            { "index": 0, "role": "format", "format": "mp4", "reason": reason },
            { "index": 0, "role": "preview", "reason": reason },
        ]);
        assert_eq!(metadata["omitted"], omitted);
    }

    fn storage(folder: &std::path::Path) -> Storage {
        let settings = StorageSettings::Local {
            folder: folder.to_owned(),
        };
        let links = LinkSettings {
            server_url: "http://127.0.0.1:1".parse().unwrap(),
            public_url: None,
            signing_key: None,
            lifetime: AMPLE,
        };
        Storage::open(&settings, links).unwrap()
    }
}
