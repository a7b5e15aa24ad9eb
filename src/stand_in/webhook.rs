//! Calls back where a service was asked to, signed as it signs.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::{Desk, Fault, Step};
use crate::{
    domain::{hex, profile::Signature, sha256_hex},
    provider::fetch::builder,
};

/// The secret that signs as Standard Webhooks has it.
pub const WEBHOOK_SECRET: &str = "whsec_c3RhbmQtaW4gc3RhbmQtaW4gc3RhbmQtaW4=";

/// How long the work takes that is not asked for.
const WORK_TIME: Duration = Duration::from_millis(50);
/// How often and after which pause a call is made that nobody takes.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// How the calls are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signer {
    Nobody,
    Standard,
    Fal,
}

/// A call that was made.
#[derive(Clone, Debug, Serialize)]
pub struct Callback {
    /// Where to.
    pub url: String,
    /// What came back; `None` if nobody answered.
    pub status: Option<u16>,
}

impl Desk {
    /// Waits as long as the work takes, and for what the script has for the call.
    pub(super) async fn before_callback(&self) -> Fault {
        tokio::time::sleep(WORK_TIME).await;
        let fault = self.next_fault(Step::Webhook).unwrap_or(Fault::None);
        if let Fault::On { fault, .. } = fault {
            if let Fault::Delay(milliseconds) = *fault {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            }
            return *fault;
        }
        fault
    }

    /// Calls, unless the script says otherwise.
    pub(super) async fn call_back(
        self: &Arc<Self>,
        url: &str,
        signer: Signer,
        body: Value,
        fault: &Fault,
    ) {
        let body = body.to_string();
        let signed = signer.headers(&body);
        match fault {
            Fault::Lost => {}
            Fault::Twice => {
                self.post(url, &signed, body.clone()).await;
                self.post(url, &signed, body).await;
            }
            Fault::Forged => self.post(url, &signed, format!("{body} ")).await,
            _ => self.post(url, &signed, body).await,
        }
    }

    fn note_callback(&self, callback: Callback) {
        let made = self.callbacks.lock();
        made.unwrap_or_else(PoisonError::into_inner).push(callback);
    }

    /// Again and again, as services do, until somebody takes it or says that he never will.
    async fn post(&self, url: &str, headers: &HeaderMap, body: String) {
        let Ok(client) = builder().build() else {
            return;
        };
        for _ in 0..TRIES {
            let request = client.post(url).headers(headers.clone());
            let answer = request.body(body.clone()).send().await;
            let status = answer.ok().map(|answer| answer.status().as_u16());
            self.note_callback(Callback {
                url: url.to_owned(),
                status,
            });
            if status.is_some_and(|status| status < 500) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Signer {
    fn headers(self, body: &str) -> HeaderMap {
        let id = Uuid::new_v4().to_string();
        let now = now().to_string();
        let headers = match self {
            Self::Nobody => Vec::new(),
            Self::Standard => {
                let signature = standard(&format!("{id}.{now}.{body}"));
                vec![
                    ("webhook-id", id),
                    ("webhook-timestamp", now),
                    ("webhook-signature", format!("v1,{signature}")),
                ]
            }
            Self::Fal => {
                let user = "stand-in".to_owned();
                let signed = format!("{id}\n{user}\n{now}\n{}", sha256_hex(body.as_bytes()));
                let signature = key().map(|key| hex(key.sign(signed.as_bytes()).as_ref()));
                vec![
                    ("x-fal-webhook-request-id", id.clone()),
                    ("x-fal-webhook-user-id", user),
                    ("x-fal-webhook-timestamp", now.clone()),
                    ("x-fal-webhook-signature", signature.unwrap_or_default()),
                ]
            }
        };
        let plain = [("content-type", "application/json".to_owned())];
        let headers = headers.into_iter().chain(plain);
        let headers = headers.filter_map(|(name, value)| {
            let value = HeaderValue::try_from(value).ok()?;
            Some((HeaderName::from_static(name), value))
        });
        headers.collect()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever verifies a call looks at a clock of his own"
)]
fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

fn standard(signed: &str) -> String {
    let secret = Signature::standard_key(WEBHOOK_SECRET).unwrap_or_default();
    let mac = Hmac::<Sha256>::new_from_slice(&secret).map(|mac| mac.chain_update(signed));
    let signature = mac.map(|mac| BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    signature.unwrap_or_default()
}

/// The same always: it keeps nothing secret.
fn key() -> Option<Ed25519KeyPair> {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).ok()
}

/// The key that others verify fal's calls with.
pub(super) async fn published() -> axum::Json<Value> {
    let x = key().map(|key| BASE64_URL_SAFE_NO_PAD.encode(key.public_key().as_ref()));
    axum::Json(json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "stand-in", "x": x }] }))
}
