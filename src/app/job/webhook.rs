//! What services tell of their tasks, at an address that only the submission's service knows.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::Value;
use url::Url;

use crate::{
    app::App,
    domain::{Caller, Error, sha256_hex},
    entity::job,
    provider::{Forged, Provider, Told, WebhookCall},
    store,
};

/// Digits of the secret in an address.
const SECRET_DIGITS: usize = 32;

/// Most bytes of a call that tells no more than that something is new, though it may say more.
const MAX_NEWS: usize = 4 << 20;
/// The same of one that holds what was made, as base64.
const MAX_ANSWER: usize = 64 << 20;

/// Why a call is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Untaken {
    /// It is not the service's, or nobody can say.
    #[error(transparent)]
    Forged(#[from] Forged),
    /// It cannot be kept.
    #[error(transparent)]
    Other(#[from] Error),
}

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

    /// Takes a call: whoever waits for the task asks for it now. A late one changes nothing. Returns what the service wants to
    /// hear.
    ///
    /// # Errors
    /// As [`Untaken`] tells.
    pub async fn take_webhook(
        &self,
        Addressee { job, provider }: Addressee,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Option<Value>, Untaken> {
        let call = WebhookCall {
            task_id: job.provider_task_id.clone(),
            headers,
            body,
            at: self.clock.now(),
        };
        let told = provider.recognise(&call).await?;
        if let Told::Challenge(answer) = told {
            return Ok(Some(answer));
        }
        if job.status.is_terminal() {
            let (job_id, provider) = (job.id, job.provider);
            tracing::info!(job_id, provider, "a late webhook is not looked at");
            return Ok(None);
        }
        if told == Told::Answer {
            let (key, answer) = (job.submission_key.unwrap_or_default(), call.body.to_vec());
            store::job_answer::keep(self.store.writer(), job.id, &key, answer).await?;
        }
        self.events.publish_task(job.id);
        Ok(None)
    }
}

impl Addressee {
    /// Most bytes that it reads of a call.
    pub fn max_bytes(&self) -> usize {
        match self.provider.can_be_asked() {
            true => MAX_NEWS,
            false => MAX_ANSWER,
        }
    }
}

fn secret(submission_key: &str) -> String {
    let mut digest = sha256_hex(format!("webhook {submission_key}").as_bytes());
    digest.truncate(SECRET_DIGITS);
    digest
}
