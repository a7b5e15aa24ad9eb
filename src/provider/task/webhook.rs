//! Calls of a service, which it makes where its tasks were submitted with an address.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::{sync::Mutex, time::Instant};

use super::{CALL_TIME, Engine, kept::Kept};
use crate::{
    domain::profile::{Signature, Webhook},
    provider::{
        Forged, ProviderError, Told, WebhookCall,
        http::{Api, Effect},
    },
};

/// How long published keys hold.
const KEYS_AGE: Duration = Duration::from_secs(60 * 60);
/// So long after they were got they are not got again for a signature that none of them has made.
const KEYS_PAUSE: Duration = Duration::from_secs(60);

/// What a service signs its calls with, and since when we know.
#[derive(Default)]
pub(super) struct Keys(Mutex<Option<(Instant, Vec<Vec<u8>>)>>);

impl Engine {
    /// How the service calls, if it is asked to.
    pub(super) fn webhook(&self) -> Option<&Webhook> {
        let webhook = self.config.profile.base.webhook.as_ref();
        webhook.filter(|_| self.config.webhooks)
    }

    /// What a call is.
    pub(super) async fn recognise(&self, call: &WebhookCall) -> Result<Told, Forged> {
        let webhook = self.webhook().ok_or(Forged::Signature)?;
        match webhook.signed {
            None => {}
            Some(Signature::Standard) => {
                let secret = self.config.webhook_secret.as_ref();
                let secret = secret.ok_or(Forged::Signature)?;
                call.verify_standard(secret.expose_secret())?;
            }
            Some(Signature::Fal) => self.verify_fal(call, webhook).await?,
        }
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        if let Some(challenge) = webhook.challenge.first(&body) {
            return Ok(Told::Challenge(json!({ "challenge": challenge })));
        }
        let ours = call
            .task_id
            .as_deref()
            .map(|task_id| Kept::read(task_id).id);
        // A call that names no task may be of any other.
        if let Some(ours) = ours.filter(|_| !webhook.id.is_empty())
            && webhook.id.text(&body) != Some(ours)
        {
            return Err(Forged::Task);
        }
        Ok(match webhook.answers {
            true => Told::Answer,
            false => Told::News,
        })
    }

    /// By a key that is published: who changes his keys has signed with one that we have not seen.
    async fn verify_fal(&self, call: &WebhookCall, webhook: &Webhook) -> Result<(), Forged> {
        let mut keys = self.keys.0.lock().await;
        let age = keys.as_ref().map(|(since, _)| since.elapsed());
        if let Some((_, known)) = keys.as_ref().filter(|_| age < Some(KEYS_AGE)) {
            let verified = call.verify_fal(known);
            if verified != Err(Forged::Signature) || age < Some(KEYS_PAUSE) {
                return verified;
            }
        }
        let published = self.config.webhook_keys.as_ref().or(webhook.keys.as_ref());
        let published = published.ok_or(Forged::Signature)?;
        let got = self.published(published).await;
        let got = got.map_err(|error| Forged::NoKeys(error.to_string()))?;
        let verified = call.verify_fal(&got);
        *keys = Some((Instant::now(), got));
        verified
    }

    /// The keys of a JWK set (RFC 7517) that are for Ed25519.
    async fn published(&self, url: &Url) -> Result<Vec<Vec<u8>>, ProviderError> {
        let api: &Api = self.api()?;
        let request = api.request_to(Method::GET, url.clone())?.timeout(CALL_TIME);
        let answer = api.send(request, Effect::Asks).await?.json()?;
        let keys = answer.get("keys").and_then(Value::as_array);
        let bytes = |key: &Value| match (key["kty"].as_str(), key["crv"].as_str()) {
            (Some("OKP"), Some("Ed25519")) => {
                let text = key["x"].as_str()?.trim_end_matches('=');
                BASE64_URL_SAFE_NO_PAD.decode(text).ok()
            }
            _ => None,
        };
        Ok(keys.into_iter().flatten().filter_map(bytes).collect())
    }
}
