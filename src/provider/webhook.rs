//! Calls by which a service tells that a task has come forward. They are believed to say that and nothing else: how the task is
//! the service is asked as ever, so a call that is lost costs the pause between two polls, and one that is repeated nothing.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::HeaderMap;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::Value;
use sha2::Sha256;

use crate::domain::{profile::Signature, sha256_hex};

/// How far a call's clock may be from ours. An older call may be one that somebody has recorded.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// A call to the address that a task was submitted with.
#[derive(Clone, Debug)]
pub struct WebhookCall {
    /// What is written down of the task, as [`Submitted::Accepted`](super::Submitted::Accepted) had it; `None` while the
    /// submission is not answered yet.
    pub task_id: Option<String>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its bytes, which are signed as they are.
    pub body: Bytes,
    /// When it came.
    pub at: DateTime<Utc>,
}

/// What a call of a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The task has come forward.
    News,
    /// The same, and this is how it is: the service cannot be asked.
    Answer,
    /// It asks whether we are there, and waits for this answer.
    Challenge(Value),
}

/// Why a call is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    /// It tells of a task that was not submitted with this address.
    #[error("the call is of another task")]
    Task,
    /// It may be the service's.
    #[error("the service's keys cannot be had: {0}")]
    NoKeys(String),
    /// A header of the signature is missing, or is none.
    #[error("the header {0} is missing or cannot be read")]
    Header(&'static str),
    /// It was made at another time.
    #[error("the call was signed more than 5 minutes before or after it came")]
    Stale,
    /// No key of the service has signed it.
    #[error("the signature is not the service's")]
    Signature,
}

impl WebhookCall {
    /// Checks a signature as [Standard Webhooks](https://www.standardwebhooks.com) has it, with a secret such as `whsec_...`.
    ///
    /// # Errors
    /// [`Forged`].
    pub fn verify_standard(&self, secret: &str) -> Result<(), Forged> {
        let id = self.text("webhook-id")?;
        let time = self.time("webhook-timestamp")?;
        let key = Signature::standard_key(secret).ok_or(Forged::Signature)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| Forged::Signature)?;
        mac.update(format!("{id}.{time}.").as_bytes());
        mac.update(&self.body);
        // One for each secret that holds while it is changed.
        let signatures = self.text("webhook-signature")?.split(' ');
        let mut signatures = signatures.filter_map(|it| it.strip_prefix("v1,"));
        let is_ours = |signature: &str| {
            let signature = BASE64_STANDARD.decode(signature);
            signature.is_ok_and(|it| mac.clone().verify_slice(&it).is_ok())
        };
        signatures
            .any(is_ours)
            .then_some(())
            .ok_or(Forged::Signature)
    }

    /// Checks a signature as fal makes it: Ed25519 by one of these public keys.
    ///
    /// # Errors
    /// [`Forged`].
    pub fn verify_fal(&self, keys: &[Vec<u8>]) -> Result<(), Forged> {
        let request = self.text("x-fal-webhook-request-id")?;
        let user = self.text("x-fal-webhook-user-id")?;
        let time = self.time("x-fal-webhook-timestamp")?;
        let signed = [request, user, time, &sha256_hex(&self.body)].join("\n");
        let header = "x-fal-webhook-signature";
        let signature = unhex(self.text(header)?).ok_or(Forged::Header(header))?;
        let mut keys = keys.iter().map(|key| UnparsedPublicKey::new(&ED25519, key));
        keys.any(|key| key.verify(signed.as_bytes(), &signature).is_ok())
            .then_some(())
            .ok_or(Forged::Signature)
    }

    fn text(&self, header: &'static str) -> Result<&str, Forged> {
        let value = self.headers.get(header).and_then(|it| it.to_str().ok());
        value.ok_or(Forged::Header(header))
    }

    /// Unix seconds, as they are written.
    fn time(&self, header: &'static str) -> Result<&str, Forged> {
        let text = self.text(header)?;
        let time = text
            .parse()
            .ok()
            .and_then(|it| DateTime::from_timestamp(it, 0));
        let time = time.ok_or(Forged::Header(header))?;
        match (self.at - time).abs() <= TOLERANCE {
            true => Ok(text),
            false => Err(Forged::Stale),
        }
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.len()
        .is_multiple_of(2)
        .then(|| pairs.map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    fn call(headers: &[(&'static str, &str)], body: &str, at: i64) -> WebhookCall {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| {
            (
                (*name).parse().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        });
        WebhookCall {
            task_id: None,
            headers: headers.collect(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            at: DateTime::from_timestamp(at, 0).unwrap(),
        }
    }

    /// The example of the specification of Standard Webhooks, 1.0.0.
    #[test]
    fn a_call_signed_as_the_standard_says_is_the_services_and_a_changed_one_is_not() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = r#"{"test": 2432232314}"#;
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let headers = |signature| {
            [
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                ("webhook-timestamp", "1614265330"),
                ("webhook-signature", signature),
            ]
        };
        let several = format!("v1a,nothing v1,AAAA {signature}");
        for (signature, body, at, expected) in [
            (signature, body, 1_614_265_330, Ok(())),
            (&several, body, 1_614_265_630, Ok(())),
            (signature, body, 1_614_265_631, Err(Forged::Stale)),
            (signature, body, 1_614_265_029, Err(Forged::Stale)),
            (signature, "{}", 1_614_265_330, Err(Forged::Signature)),
            ("v1,", body, 1_614_265_330, Err(Forged::Signature)),
            ("", body, 1_614_265_330, Err(Forged::Signature)),
        ] {
            let told = call(&headers(signature), body, at).verify_standard(secret);
            assert_eq!(told, expected, "{signature} {body} {at}");
        }
        let unsigned = call(&[], body, 1_614_265_330).verify_standard(secret);
        assert_eq!(unsigned, Err(Forged::Header("webhook-id")));
    }

    #[test]
    fn a_call_signed_as_fal_does_is_the_services_and_a_changed_one_is_not() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let keys = [vec![0; 32], pair.public_key().as_ref().to_vec()];
        let body = r#"{"request_id":"r","status":"OK"}"#;
        let signed = format!("r\nu\n1614265330\n{}", sha256_hex(body.as_bytes()));
        let signature = crate::domain::hex(pair.sign(signed.as_bytes()).as_ref());
        let headers = |user| {
            [
                ("x-fal-webhook-request-id", "r"),
                ("x-fal-webhook-user-id", user),
                ("x-fal-webhook-timestamp", "1614265330"),
                ("x-fal-webhook-signature", signature.as_str()),
            ]
        };
        for (user, body, at, expected) in [
            ("u", body, 1_614_265_330, Ok(())),
            ("u", body, 1_614_266_330, Err(Forged::Stale)),
            ("v", body, 1_614_265_330, Err(Forged::Signature)),
            ("u", "{}", 1_614_265_330, Err(Forged::Signature)),
        ] {
            assert_eq!(call(&headers(user), body, at).verify_fal(&keys), expected);
        }
        assert_eq!(
            call(&headers("u"), body, 1_614_265_330).verify_fal(&[]),
            Err(Forged::Signature)
        );
    }
}
