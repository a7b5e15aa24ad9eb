//! Speaks HTTP with a service that makes media: one origin, its credentials, and what its answers mean.
//!
//! Nothing follows a redirect, and an answer is read up to a bound only. What a service says stays with operators.

mod refusal;

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use codec::Kind;
use reqwest::{
    Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{
    HeldFile, Probed, ProviderError,
    fetch::{FetchError, Fetched, Fetcher},
};
use crate::domain::{has_cause, with_causes};

use refusal::refusal;
pub(super) use refusal::{Words, says_nothing};

const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Most bytes of an answer of which words may be shown.
const MAX_WORDS: usize = 1 << 20;
/// Fewer characters are no secret.
const MIN_SECRET: usize = 6;

/// What a call does at the service, which decides what it means that its answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It has work done that somebody pays for: it must not be made twice.
    Pays,
    /// It only asks, and may be repeated.
    Asks,
}

/// A service's interface.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    base: Url,
    credentials: HeaderMap,
    /// What of them nobody may read.
    secrets: Vec<SecretString>,
    /// Gets what answers name.
    files: Fetcher,
    /// Most bytes of one answer.
    max_bytes: usize,
}

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The header that carries a key: one of this name, or `Authorization: Bearer`.
pub(super) fn credentials(
    header: Option<&str>,
    key: Option<&SecretString>,
) -> Result<HeaderMap, String> {
    let Some(key) = key.map(ExposeSecret::expose_secret) else {
        return Ok(HeaderMap::new());
    };
    let (name, value) = match header {
        Some(name) => {
            let parsed = HeaderName::try_from(name);
            let name = parsed.map_err(|_| format!("{name:?} is no name of a header"))?;
            (name, key.to_owned())
        }
        None => (AUTHORIZATION, format!("Bearer {key}")),
    };
    let value = HeaderValue::try_from(value);
    let mut value = value.map_err(|_| "the key has characters that no header takes".to_owned())?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(name, value)]))
}

fn client() -> ClientBuilder {
    Client::builder()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIME)
}

impl Api {
    /// `base` is what all paths begin with; `timeout` is how long a call may take to its last byte; `files`
    /// gets what answers name, with its bounds.
    pub(super) fn new(
        mut base: Url,
        credentials: HeaderMap,
        timeout: Duration,
        files: &Fetcher,
    ) -> Result<Self, String> {
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let unbuilt = |error: reqwest::Error| error.to_string();
        // It has brought what TLS needs.
        let files = files.clone().trusting(&base, credentials.clone());
        let files = files.map_err(unbuilt)?;
        let client = client().timeout(timeout).build();
        // As base64 a file is a third longer.
        let max_bytes = files.max_bytes().saturating_mul(2);
        Ok(Self {
            client: client.map_err(unbuilt)?,
            base,
            secrets: secrets(&credentials),
            credentials,
            files,
            max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
        })
    }

    /// A request to a path below the base, with the credentials.
    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
    ) -> Result<RequestBuilder, ProviderError> {
        let url = self.resolve(path.trim_start_matches('/'))?;
        let request = self.client.request(method, url);
        Ok(request.headers(self.credentials.clone()))
    }

    /// The same for answers that go on for as long as the work, and for WebSockets, which begin in HTTP/1.
    pub(super) fn streaming(&self) -> Result<Self, String> {
        let client = client().http1_only().build();
        Ok(Self {
            client: client.map_err(|error| error.to_string())?,
            ..self.clone()
        })
    }

    /// Gets a file of this kind by a URL that an answer names, which may be relative to the service's own. Only from there it is
    /// asked for with the credentials, and wherever that is.
    pub(super) async fn fetch(&self, url: &str, kind: Kind) -> Result<HeldFile, ProviderError> {
        Ok(self.fetch_any(&self.resolve(url)?, &[kind]).await?.file)
    }

    /// The same, of one of these kinds, and what is in the way.
    pub(super) async fn fetch_any(&self, url: &Url, kinds: &[Kind]) -> Result<Fetched, FetchError> {
        self.files.fetch(url, kinds).await
    }

    /// The same, which sends other credentials.
    pub(super) fn with_credentials(&self, credentials: HeaderMap) -> Self {
        Self {
            files: self.files.clone().with_headers(credentials.clone()),
            secrets: secrets(&credentials),
            credentials,
            ..self.clone()
        }
    }

    /// The same, which tells nobody of this either.
    pub(super) fn hiding(mut self, secret: String) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// The same, which sends them to the origins of these URLs as well.
    pub(super) fn allowing(mut self, urls: &[Url]) -> Self {
        self.files = self.files.also_trusting(urls);
        self
    }

    /// What all paths begin with; it ends with a slash.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// Whether the credentials may go there.
    pub(super) fn trusts(&self, url: &Url) -> bool {
        self.files.trusts(url)
    }

    /// A request to an address that an answer may have named: with the credentials where they may go, and to anywhere
    /// else by the rules for links.
    pub(super) fn request_to(
        &self,
        method: Method,
        url: Url,
    ) -> Result<RequestBuilder, ProviderError> {
        if self.trusts(&url) {
            let request = self.client.request(method, url);
            return Ok(request.headers(self.credentials.clone()));
        }
        let request = self.files.request(method, &url);
        request.map_err(|error| ProviderError::Failed(error.to_string()))
    }

    /// The answer before its body has come, whatever its status.
    async fn begin(
        &self,
        request: RequestBuilder,
        effect: Effect,
    ) -> Result<Response, ProviderError> {
        request.send().await.map_err(|error| lost(&error, effect))
    }

    /// The answer, whatever its status.
    pub(super) async fn ask(
        &self,
        request: RequestBuilder,
        effect: Effect,
    ) -> Result<Answer, ProviderError> {
        let response = self.begin(request, effect).await?;
        self.whole(response, effect).await
    }

    /// The answer, if the service says that the call went well.
    pub(super) async fn send(
        &self,
        request: RequestBuilder,
        effect: Effect,
    ) -> Result<Answer, ProviderError> {
        self.ask(request, effect).await?.accepted(effect)
    }

    /// The same; `None` if the service has no such path.
    pub(super) async fn send_if_known(
        &self,
        request: RequestBuilder,
        effect: Effect,
    ) -> Result<Option<Answer>, ProviderError> {
        let told = self.ask(request, effect).await?;
        let unknown = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
        match unknown.contains(&told.status) {
            true => Ok(None),
            false => told.accepted(effect).map(Some),
        }
    }

    /// The same as [`send`](Self::send), before the body has come.
    pub(super) async fn open(
        &self,
        request: RequestBuilder,
        effect: Effect,
    ) -> Result<Response, ProviderError> {
        let response = self.begin(request, effect).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.whole(response, effect).await?.refusal(effect))
    }

    /// An answer that has begun, to its end.
    pub(super) async fn whole(
        &self,
        response: Response,
        effect: Effect,
    ) -> Result<Answer, ProviderError> {
        let (status, headers) = (response.status(), response.headers().clone());
        let read = self.read(response, effect).await;
        let body = match status.is_success() {
            true => read?,
            // Whatever it is, the status counts.
            false => read.unwrap_or_default(),
        };
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    /// Asks for something that services of the kind mostly have.
    pub(super) async fn probe(&self, path: &str) -> Result<Probed, ProviderError> {
        let request = self.request(Method::GET, path)?.timeout(CONNECT_TIME);
        let answer = self.send_if_known(request, Effect::Asks).await?;
        Ok(Probed::of(answer.is_some()))
    }

    /// An address that an answer names, which may be relative to the service's own.
    pub(super) fn resolve(&self, url: &str) -> Result<Url, ProviderError> {
        let joined = self.base.join(url);
        joined.map_err(|error| ProviderError::Failed(format!("the address {url:?}: {error}")))
    }

    /// Most bytes of one answer.
    pub(super) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    async fn read(&self, mut response: Response, effect: Effect) -> Result<Bytes, ProviderError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| lost(&error, effect))?
        {
            if body.len() + chunk.len() > self.max_bytes {
                let detail = format!("the answer has more than {} bytes", self.max_bytes);
                return Err(ProviderError::LimitExceeded(detail));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(self.without_secrets(body.freeze()))
    }

    /// What a service tells, which some repeat our key in.
    pub(super) fn without_secrets(&self, told: Bytes) -> Bytes {
        let text = match std::str::from_utf8(&told) {
            Ok(text) if told.len() <= MAX_WORDS => text,
            _ => return told,
        };
        let secrets = self.secrets.iter();
        let mut found = secrets.filter(|secret| text.contains(secret.expose_secret()));
        let Some(first) = found.next() else {
            return told;
        };
        let hidden =
            |text: String, secret: &SecretString| text.replace(secret.expose_secret(), "[our key]");
        let text = hidden(text.to_owned(), first);
        Bytes::from(found.fold(text, hidden))
    }
}

/// Each whole, and behind its scheme.
fn secrets(credentials: &HeaderMap) -> Vec<SecretString> {
    let values = credentials.values().filter_map(|it| it.to_str().ok());
    let parts = values.flat_map(|value| [value, value.rsplit(' ').next().unwrap_or(value)]);
    let parts = parts.filter(|part| part.len() >= MIN_SECRET);
    parts.map(SecretString::from).collect()
}

impl Answer {
    /// Itself, if the service says that the call went well.
    pub(super) fn accepted(self, effect: Effect) -> Result<Self, ProviderError> {
        match self.status.is_success() {
            true => Ok(self),
            false => Err(self.refusal(effect)),
        }
    }

    /// What its status means where that does not say that the call went well.
    pub(super) fn refusal(&self, effect: Effect) -> ProviderError {
        refusal(self.status, &self.headers, &Words::of(&self.body), effect)
    }

    /// Its JSON, which is an object. A service that answers with an error inside is as good as one that refuses.
    pub(super) fn json(&self) -> Result<serde_json::Map<String, Value>, ProviderError> {
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => match object.get("error") {
                Some(error) if !says_nothing(error) => Err(Words::of(&self.body).without_status()),
                _ => Ok(object),
            },
            _ => {
                let begin = String::from_utf8_lossy(&self.body[..self.body.len().min(200)]);
                Err(ProviderError::Failed(format!(
                    "the answer is no JSON object: {begin}"
                )))
            }
        }
    }
}

/// A file as base64, which some services write as a data URL.
pub(super) fn decoded(text: &str) -> Option<Bytes> {
    let text = match text.split_once(";base64,") {
        Some((begin, rest)) if begin.starts_with("data:") => rest,
        _ => text,
    };
    BASE64_STANDARD.decode(text.trim()).ok().map(Bytes::from)
}

fn was_never_sent(error: &reqwest::Error) -> bool {
    error.is_connect() || error.is_builder() || has_cause(error, hyper::Error::is_canceled)
}

/// What it means that there is no whole answer. Its words name no query, which may hold a signature.
pub(super) fn lost(error: &reqwest::Error, effect: Effect) -> ProviderError {
    let detail = with_causes(error);
    let detail = match error.url() {
        Some(url) => detail.replace(url.as_str(), url.path()),
        None => detail,
    };
    match effect {
        _ if was_never_sent(error) => ProviderError::Unavailable(detail),
        Effect::Pays => ProviderError::OutcomeUnknown(detail),
        Effect::Asks => ProviderError::Transient {
            detail,
            retry_after: None,
        },
    }
}
