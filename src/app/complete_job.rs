use serde_json::json;

use crate::{
    domain::{Error, JsonMap},
    entity::{MediaRole, job},
    media::{Inspected, StorageKey},
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
        let known = [
            ("format", json!(facts.format.as_str())),
            ("width", json!(facts.width)),
            ("height", json!(facts.height)),
            ("sha256", json!(facts.sha256)),
            ("variation", json!(job.variation)),
            ("index", json!(index)),
        ];
        metadata.extend(known.map(|(key, value)| (key.to_owned(), value)));
        if let Some(seed) = output.seed {
            metadata.insert("seed".to_owned(), json!(seed));
        }
        NewMedia {
            media_url: self.storage.object_url(&output.key),
            storage_key: output.key.path().to_owned(),
            media_type: facts.format.media_type(),
            role: MediaRole::Original,
            file_size: i64::try_from(facts.file_size).unwrap_or(i64::MAX),
            metadata,
            blurhash: output.inspected.blurhash.clone(),
            tiny_preview: output.inspected.tiny_preview.clone(),
            deleted_at: None,
        }
    }
}
