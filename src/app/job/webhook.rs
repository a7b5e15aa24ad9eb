//! What services tell of their tasks, at an address that only the submission's service knows.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use url::Url;

use crate::{
    app::App,
    domain::{Caller, Error, JobStatus, sha256_hex},
    entity::job,
    provider::{Forged, Provider, WebhookCall},
    store,
};

/// Digits of the secret in an address.
const SECRET_DIGITS: usize = 32;

/// Whom a call is for.
pub struct Addressee {
    job: job::Model,
    provider: Arc<dyn Provider>,
}

impl App {
    /// Where the service of a submission may tell that its task has come forward.
    pub fn webhook_url(&self, job_id: i64, submission_key: &str) -> Url {
        let mut url = self.settings.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!(
            "{base}/webhooks/{job_id}/{}",
            secret(submission_key)
        ));
        url
    }

    /// Whom a call to this address is for; `None` if it is none of ours, or not any more.
    pub async fn addressee(&self, job_id: i64, given: &str) -> Result<Option<Addressee>, Error> {
        let found = store::job::find(self.store.reader(), Caller::TrustedService, job_id).await;
        let job = match found {
            Ok(job) => job,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let ours = job.submission_key.as_deref().map(secret);
        // As digests, whose comparison tells nothing of the secret.
        let is_right =
            ours.is_some_and(|ours| sha256_hex(ours.as_bytes()) == sha256_hex(given.as_bytes()));
        let provider = job.provider.as_deref().filter(|_| is_right);
        let provider = provider.and_then(|name| self.providers.get(name));
        Ok(provider.map(|provider| Addressee { job, provider }))
    }

    /// Takes a call: whoever waits for the task asks for it now. A late one changes nothing.
    ///
    /// # Errors
    /// [`Forged`] if it is not from the task's service.
    pub async fn take_webhook(
        &self,
        Addressee { job, provider }: Addressee,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(), Forged> {
        let at = self.clock.now();
        let told = provider
            .recognise(&WebhookCall { headers, body, at })
            .await?;
        // A call may come before the task's id is written down.
        let of_another = told
            .zip(job.provider_task_id)
            .is_some_and(|(told, ours)| told != ours);
        if of_another || job.status != JobStatus::Processing {
            tracing::info!(
                job_id = job.id,
                provider = job.provider,
                "a late webhook is not looked at"
            );
            return Ok(());
        }
        self.events.publish_task(job.id);
        Ok(())
    }
}

fn secret(submission_key: &str) -> String {
    let mut digest = sha256_hex(format!("webhook {submission_key}").as_bytes());
    digest.truncate(SECRET_DIGITS);
    digest
}
