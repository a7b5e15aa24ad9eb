use bytes::Bytes;

use crate::{
    app::StoredOutput,
    domain::{Reason, job::Failure},
    entity::job,
    media::{InspectError, StorageKey, inspect},
    provider::{Content, Output, OutputFile, clean},
    store::queue::Lease,
};

use super::{
    Executor,
    failure::{Mishap, invalid_output},
};

impl Executor {
    /// Finds out what the provider's files are and stores them. Their rows come later, with the job's end: an object
    /// without a row is harmless.
    pub(super) async fn ingest(
        &self,
        job: &job::Model,
        lease: &Lease,
        output: &Output,
    ) -> Result<Vec<StoredOutput>, Mishap> {
        if output.files.is_empty() {
            let sentence = "The generator finished without making anything.";
            return Err(Mishap::lasting(Failure::new(
                Reason::ProviderNoOutput,
                sentence,
            )));
        }
        let mut stored = Vec::with_capacity(output.files.len());
        for (index, file) in output.files.iter().enumerate() {
            stored.push(self.store_file(job, lease, index, file).await?);
        }
        Ok(stored)
    }

    async fn store_file(
        &self,
        job: &job::Model,
        lease: &Lease,
        index: usize,
        file: &OutputFile,
    ) -> Result<StoredOutput, Mishap> {
        let content = self.read(&file.content).await?;
        let inspected = inspect(content.clone(), &self.settings.limits).await?;
        let format = inspected.facts.format;
        if format.media_type() != job.category {
            let detail = format!("expected {}, got {format}", job.category.as_str());
            return Err(Mishap::lasting(invalid_output(detail)));
        }
        let key = StorageKey::for_output(job.id, &lease.token, index, format);
        self.app.storage.put(&key, content).await?;
        Ok(StoredOutput {
            key,
            inspected,
            seed: file.seed,
            metadata: clean::map(file.metadata.clone()),
        })
    }

    async fn read(&self, content: &Content) -> Result<Bytes, Mishap> {
        let path = match content {
            Content::Memory(bytes) => return Ok(bytes.clone()),
            Content::File(path) => path,
        };
        let unreadable = |error: std::io::Error| {
            Mishap::lasting(invalid_output(format!("{}: {error}", path.display())))
        };
        let size = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
        let max = self.settings.limits.max_bytes;
        if size > max {
            return Err(InspectError::TooLarge { size, max }.into());
        }
        Ok(tokio::fs::read(path).await.map_err(unreadable)?.into())
    }
}
