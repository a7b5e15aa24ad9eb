//! Calls of a service, which it makes where its tasks were submitted with an address.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{CALL_TIME, Engine, kept::Kept};
use crate::{
    domain::profile::{Signature, Webhook},
    identity::{Pace, Published},
    provider::{
        Forged, ProviderError, Told, WebhookCall,
        http::{Api, Effect},
    },
};

/// How long published keys hold.
const KEYS_AGE: Duration = Duration::from_secs(60 * 60);
/// So long after they were got they are not got again for a signature that none of them has made.
const KEYS_PAUSE: Duration = Duration::from_secs(60);

const KEYS_PACE: Pace = Pace {
    pause: KEYS_PAUSE,
    // A service that takes a key back does not sign with it any more.
    keep: Duration::ZERO,
};

/// What a service signs its calls with.
pub(super) type Keys = Published<Vec<u8>>;

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
        let mut failed = None;
        if self.keys.age().is_none_or(|age| age >= KEYS_AGE) {
            failed = self.renew_keys(webhook).await?.err();
        }
        if let (Some(error), []) = (&failed, self.keys.known().as_slice()) {
            return Err(Forged::NoKeys(error.clone()));
        }
        let verified = call.verify_fal(&self.keys.known());
        if verified != Err(Forged::Signature) {
            return verified;
        }
        if failed.is_none() {
            failed = self.renew_keys(webhook).await?.err();
        }
        match (call.verify_fal(&self.keys.known()), failed) {
            (Err(Forged::Signature), Some(error)) => Err(Forged::NoKeys(error)),
            (verified, _) => verified,
        }
    }

    /// Gets the keys, unless that was done just now. Those that are known hold on where they cannot be had.
    async fn renew_keys(&self, webhook: &Webhook) -> Result<Result<(), String>, Forged> {
        let published = self.config.webhook_keys.as_ref().or(webhook.keys.as_ref());
        let published = published.ok_or(Forged::Signature)?;
        let get = async || {
            let got = self.published(published).await;
            got.map_err(|error| error.to_string())
        };
        Ok(self.keys.renew(KEYS_PACE, get).await)
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
