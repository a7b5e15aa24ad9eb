//! The keys of a profile, as docs/providers/profiles.md tells them.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, de::Error};
use url::Url;

use super::{Body, Path, Pointers, Text};
use crate::domain::MediaType;

type Headers = BTreeMap<String, String>;

/// How a service speaks of media of one type.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the page on profiles tells every key")]
pub struct Definition {
    #[serde(default, deserialize_with = "optional_url")]
    pub base_url: Option<Url>,
    pub makes: Vec<MediaType>,
    #[serde(default)]
    pub pictures: Pictures,
    #[serde(default, deserialize_with = "urls")]
    pub allowed_origins: Vec<Url>,
    #[serde(default)]
    pub headers: Headers,
    pub auth: Option<Auth>,
    pub submit: Submit,
    pub poll: Poll,
    pub result: Outcome,
    #[serde(default)]
    pub errors: Errors,
    pub cancel: Option<Cancel>,
    pub probe: Option<Probe>,
    pub webhook: Option<Webhook>,
}

/// How the pictures of a request are handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pictures {
    /// By links to them.
    #[default]
    Links,
    /// As `data:` URLs.
    DataUrls,
    /// As plain base64.
    Base64,
}

/// How the credentials are sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the page on profiles tells every key")]
pub struct Auth {
    pub header: Option<String>,
    pub query: Option<String>,
    pub value: Option<Text<true>>,
    #[serde(default)]
    pub headers: BTreeMap<String, Text<true>>,
    pub jwt: Option<Body<true>>,
    pub hmac: Option<Text<true>>,
}

impl Auth {
    /// Whether it needs a secret beside the key.
    pub fn signs(&self) -> bool {
        self.jwt.is_some() || self.hmac.is_some()
    }
}

/// One call: those of a profile have these keys and their own.
pub struct Call<'a> {
    /// Of HTTP.
    pub method: &'a str,
    /// Where an answer has its address.
    pub url: &'a Pointers,
    /// Below the service's own address.
    pub path: Option<&'a Path>,
    /// Its JSON.
    pub body: Option<&'a Body>,
    /// Fixed ones.
    pub headers: &'a Headers,
}

macro_rules! calls {
    ($($(#[doc = $doc:literal])+ $Name:ident by $method:literal { $($(#[$meta:meta])* $key:ident: $ty:ty,)* })+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(missing_docs, reason = "the page on profiles tells every key")]
        pub struct $Name {
            method: Option<String>,
            #[serde(default)]
            pub url: Pointers,
            pub path: Option<Path>,
            pub body: Option<Body>,
            #[serde(default)]
            headers: Headers,
            $($(#[$meta])* pub $key: $ty,)*
        }

        impl $Name {
            /// What it has as a call.
            pub fn call(&self) -> Call<'_> {
                Call {
                    method: self.method.as_deref().unwrap_or($method),
                    url: &self.url,
                    path: self.path.as_ref(),
                    body: self.body.as_ref(),
                    headers: &self.headers,
                }
            }
        }
    )+};
}

calls! {
    /// Hands the work over.
    Submit by "POST" {
        #[serde(default)]
        settings: String,
        #[serde(default)]
        form: bool,
        #[serde(default)]
        files: Vec<String>,
        #[serde(default)]
        id: Pointers,
        #[serde(default)]
        waits: bool,
        #[serde(default = "a_minute", deserialize_with = "seconds")]
        timeout: Duration,
    }

    /// Asks how it is.
    Poll by "GET" {
        #[serde(default)]
        status: Pointers,
        #[serde(default)]
        words: BTreeMap<Meaning, Vec<String>>,
        progress: Option<Progress>,
        #[serde(default)]
        queue: Pointers,
        #[serde(default = "two_seconds", deserialize_with = "seconds")]
        every: Duration,
    }

    /// Gets the output.
    Outcome by "GET" {
        #[serde(default)]
        bytes: bool,
        #[serde(default)]
        outputs: Pointers,
        #[serde(default)]
        base64: Pointers,
        #[serde(default)]
        filtered: Pointers,
        #[serde(default)]
        metadata: BTreeMap<String, Pointers>,
    }

    /// Stops it.
    Cancel by "POST" {}

    /// Asks whether the service is there.
    Probe by "GET" {
        #[serde(default)]
        status: Pointers,
        #[serde(default)]
        ready: Vec<String>,
    }
}

/// What a word of a service means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// It has not begun.
    Waiting,
    /// It has begun.
    Running,
    /// There is an output.
    Done,
    /// There will be none.
    Failed,
    /// There will be none, by the content policy.
    Rejected,
    /// The service has forgotten it.
    Expired,
    /// Somebody stopped it.
    Cancelled,
    /// It ended without cost.
    Again,
}

/// Where the progress is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the page on profiles tells every key")]
pub struct Progress {
    pub at: Pointers,
    #[serde(default = "one")]
    pub of: f64,
}

/// What says that something is wrong.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the page on profiles tells every key")]
pub struct Errors {
    pub message: Pointers,
    pub code: Pointers,
    pub ok: Vec<String>,
    pub rejected: Vec<String>,
    pub input: Vec<String>,
    pub again: Vec<String>,
}

/// How the service calls back.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the page on profiles tells every key")]
pub struct Webhook {
    #[serde(default)]
    pub headers: Headers,
    #[serde(default)]
    pub id: Pointers,
    pub signed: Option<Signature>,
    #[serde(default, deserialize_with = "optional_url")]
    pub keys: Option<Url>,
    #[serde(default)]
    pub challenge: Pointers,
    #[serde(default)]
    pub answers: bool,
    #[serde(default = "half_a_minute", deserialize_with = "seconds")]
    pub every: Duration,
}

/// How a service signs its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// As [Standard Webhooks](https://www.standardwebhooks.com) has it, by a secret.
    Standard,
    /// As fal does, by one of the keys that it publishes.
    Fal,
}

impl Signature {
    /// The key of a secret of Standard Webhooks, such as `whsec_...`; `None` if it is none.
    pub fn standard_key(secret: &str) -> Option<Vec<u8>> {
        let key = secret.strip_prefix("whsec_").unwrap_or(secret);
        BASE64_STANDARD.decode(key).ok()
    }
}

impl Poll {
    /// What a word means; `None` if nobody has said.
    pub fn meaning(&self, word: &str) -> Option<Meaning> {
        let means = |(_, words): &(&Meaning, &Vec<String>)| {
            words.iter().any(|it| it.eq_ignore_ascii_case(word))
        };
        self.words.iter().find(means).map(|(meaning, _)| *meaning)
    }
}

fn one() -> f64 {
    1.0
}

fn a_minute() -> Duration {
    Duration::from_secs(60)
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

fn two_seconds() -> Duration {
    Duration::from_secs(2)
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    let duration = Duration::try_from_secs_f64(seconds).ok();
    let duration = duration
        .filter(|it| (Duration::from_millis(10)..=Duration::from_secs(86_400)).contains(it));
    duration.ok_or_else(|| Error::custom("seconds from 0.01 to 86400 are expected"))
}

fn url<E: Error>(text: &str) -> Result<Url, E> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .filter(|url| url.username().is_empty() && url.password().is_none());
    url.ok_or_else(|| E::custom("an http or https URL without a user is expected"))
}

fn optional_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    String::deserialize(deserializer).and_then(|text| url(&text).map(Some))
}

fn urls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Url>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| url(text)).collect()
}
