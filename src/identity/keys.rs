//! The keys of a server: its secret, those of a file, and those that an identity provider publishes.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::BytesMut;
use jsonwebtoken::Algorithm;
use reqwest::{Client, StatusCode, Url, redirect::Policy};
use secrecy::{ExposeSecret, SecretString};

use super::{
    cryptography,
    key::{self, Key},
    published::{Pace, Published},
};
use crate::domain::with_causes;

/// How long getting a set of keys may take.
const FETCH_TIME: Duration = Duration::from_secs(10);
/// Most bytes of a set.
const MAX_SET_BYTES: usize = 1 << 20;

/// Why the configured keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("cannot read auth.keys_file {}", path.display())]
    File {
        /// As it is configured.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file, or the secret, holds no usable key.
    #[error("{setting}: {why}")]
    Unusable {
        /// Where it is configured.
        setting: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// There is no client to get published keys with.
    #[error("cannot get the keys of auth.jwks_url")]
    Client(#[source] reqwest::Error),
}

/// All keys that tokens may be signed with. Clones share what was got.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    fixed: Arc<Vec<Key>>,
    published: Option<PublishedKeys>,
}

/// Keys behind a URL.
#[derive(Clone, Debug)]
pub struct PublishedKeys {
    url: Url,
    client: Client,
    pace: Pace,
    keys: Arc<Published<Key>>,
}

impl Keys {
    /// Those of the configuration.
    ///
    /// # Errors
    /// See [`KeysError`].
    pub fn new(
        secret: Option<&SecretString>,
        file: Option<&PathBuf>,
        published: Option<PublishedKeys>,
    ) -> Result<Self, KeysError> {
        cryptography::install();
        let mut fixed = Vec::new();
        if let Some(secret) = secret {
            let key = Key::shared(secret.expose_secret().as_bytes());
            let setting = "auth.secret";
            fixed.push(key.map_err(|why| KeysError::Unusable { setting, why })?);
        }
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|source| KeysError::File {
                path: path.clone(),
                source,
            })?;
            let setting = "auth.keys_file";
            let keys = key::of_file(&text);
            fixed.extend(keys.map_err(|why| KeysError::Unusable { setting, why })?);
        }
        Ok(Self {
            fixed: Arc::new(fixed),
            published,
        })
    }

    /// Those that a token with this header may be signed with. Where there is none, published ones are got anew.
    ///
    /// # Errors
    /// Why those cannot be had.
    pub(super) async fn suiting(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
    ) -> Result<Vec<Key>, String> {
        let suits = |key: &Key| key.suits(algorithm, id);
        let mut found: Vec<_> = self
            .fixed
            .iter()
            .filter(|key| suits(key))
            .cloned()
            .collect();
        // The secret is no published key.
        let Some(published) = self
            .published
            .as_ref()
            .filter(|_| algorithm != Algorithm::HS256)
        else {
            return Ok(found);
        };
        let known = || published.keys.known().into_iter().filter(suits);
        found.extend(known());
        if found.is_empty() {
            published.renew().await?;
            found.extend(known());
        }
        Ok(found)
    }

    /// Published ones, which are to be got in the background.
    pub fn published(&self) -> Option<&PublishedKeys> {
        self.published.as_ref()
    }
}

impl PublishedKeys {
    /// Those behind the URL, of which none is got yet.
    ///
    /// # Errors
    /// [`KeysError::Client`].
    pub fn new(url: Url, pace: Pace) -> Result<Self, KeysError> {
        // Only the first time, but whoever comes first is glad of it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(FETCH_TIME)
            .build();
        Ok(Self {
            url,
            client: client.map_err(KeysError::Client)?,
            pace,
            keys: Arc::default(),
        })
    }

    /// Gets them at once and then so often. Ends never.
    pub async fn keep_fresh(self, interval: Duration) {
        loop {
            let pause = match self.renew().await {
                Ok(()) => interval,
                Err(error) => {
                    let (url, known) = (self.url.as_str(), self.keys.known().len());
                    tracing::warn!(url, known, error, "cannot get the keys of tokens");
                    self.pace.pause.min(interval)
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn renew(&self) -> Result<(), String> {
        self.keys.renew(self.pace, || self.get()).await
    }

    async fn get(&self) -> Result<Vec<Key>, String> {
        let answer = self.client.get(self.url.clone()).send().await;
        let mut answer = answer.map_err(|error| with_causes(&error.without_url()))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the answer is {}", answer.status()));
        }
        let mut body = BytesMut::new();
        let broken = |error: reqwest::Error| with_causes(&error.without_url());
        while let Some(part) = answer.chunk().await.map_err(broken)? {
            if body.len() + part.len() > MAX_SET_BYTES {
                return Err(format!("the answer has more than {MAX_SET_BYTES} bytes"));
            }
            body.extend_from_slice(&part);
        }
        key::of_set(&body)
    }
}
