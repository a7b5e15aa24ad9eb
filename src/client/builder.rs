//! From a URL and settings to a client.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::bearer::Bearer;
use super::{Client, RetryPolicy, RetryingChannel};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a silent connection is asked whether it is alive, and how long the answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Above what the server's pages and parts of files are bounded to.
const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// Settings of a [`Client`].
#[derive(Clone, Debug)]
pub struct Builder {
    url: String,
    connect_timeout: Duration,
    keep_alive: Duration,
    keep_alive_timeout: Duration,
    max_message_bytes: usize,
    policy: RetryPolicy,
    ca_certificate: Option<Vec<u8>>,
    certificate: Option<(Vec<u8>, SecretString)>,
    bearer: Bearer,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL does not name a server that this client can speak to.
    #[error("{url:?} is not a URL such as http://127.0.0.1:50051 or https://atelier.example.com")]
    Url {
        /// As it was given.
        url: String,
    },
    /// Certificates by which to know the server cannot be used.
    #[error("cannot use TLS with {url}")]
    Tls {
        /// As it was given.
        url: String,
        /// What is wrong with them.
        source: tonic::transport::Error,
    },
    /// The token cannot be sent.
    #[error("the token has characters that no header takes")]
    Token,
    /// Nothing answers at the URL.
    #[error("cannot connect to {url}")]
    Connect {
        /// As it was given.
        url: String,
        /// What the connection failed with.
        source: tonic::transport::Error,
    },
}

impl Builder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            connect_timeout: CONNECT_TIMEOUT,
            keep_alive: KEEP_ALIVE,
            keep_alive_timeout: KEEP_ALIVE_TIMEOUT,
            max_message_bytes: MAX_MESSAGE_BYTES,
            policy: RetryPolicy::default(),
            ca_certificate: None,
            certificate: None,
            bearer: Bearer::default(),
        }
    }

    /// How long a connection may take to come about; 10 s by default.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How often a connection is asked whether it is alive, and how long the answer may take before it counts as broken;
    /// 15 s and 10 s by default.
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.keep_alive = interval;
        self.keep_alive_timeout = timeout;
        self
    }

    /// The largest message that is accepted, in bytes; 16 MiB by default.
    #[must_use]
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// The certificate authority, in PEM, by which an `https` server is believed, instead of those that the system knows.
    #[must_use]
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_certificate = Some(pem.into());
        self
    }

    /// The certificate, in PEM, by which an `https` server knows who calls where there is no token, with those that lead to its
    /// root, and its private key; none by default.
    #[must_use]
    pub fn certificate(mut self, pem: impl Into<Vec<u8>>, key: impl Into<String>) -> Self {
        self.certificate = Some((pem.into(), key.into().into()));
        self
    }

    /// How long and how often failed calls are repeated and broken streams resumed.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The token by which every call shows who makes it; none by default.
    ///
    /// # Errors
    /// When the token has characters that no header takes.
    pub fn token(mut self, token: &str) -> Result<Self, ConnectError> {
        self.bearer = Bearer::new(token).ok_or(ConnectError::Token)?;
        Ok(self)
    }

    /// Connects.
    ///
    /// # Errors
    /// When the URL is not an http or https one, or nothing answers there.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        let connected = self.endpoint()?.connect().await;
        let channel = connected.map_err(|source| ConnectError::Connect {
            url: self.url.clone(),
            source,
        })?;
        Ok(self.client(channel))
    }

    /// A client that connects with its first call. Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// When the URL is not an http or https one.
    pub fn connect_lazy(self) -> Result<Client, ConnectError> {
        let channel = self.endpoint()?.connect_lazy();
        Ok(self.client(channel))
    }

    fn endpoint(&self) -> Result<Endpoint, ConnectError> {
        let invalid = || ConnectError::Url {
            url: self.url.clone(),
        };
        let mut endpoint = Endpoint::from_shared(self.url.clone()).map_err(|_| invalid())?;
        match endpoint.uri().scheme_str() {
            Some("http") => {}
            Some("https") => {
                let tls = ClientTlsConfig::new();
                let tls = match &self.ca_certificate {
                    Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
                    None => tls.with_native_roots(),
                };
                let tls = match &self.certificate {
                    Some((pem, key)) => tls.identity(Identity::from_pem(pem, key.expose_secret())),
                    None => tls,
                };
                endpoint = endpoint
                    .tls_config(tls)
                    .map_err(|source| ConnectError::Tls {
                        url: self.url.clone(),
                        source,
                    })?;
            }
            _ => return Err(invalid()),
        }
        Ok(endpoint
            .connect_timeout(self.connect_timeout)
            .http2_keep_alive_interval(self.keep_alive)
            .keep_alive_timeout(self.keep_alive_timeout)
            .keep_alive_while_idle(true))
    }

    fn client(self, channel: Channel) -> Client {
        let channel = InterceptedService::new(channel, self.bearer);
        Client {
            plain: channel.clone(),
            retrying: RetryingChannel::new(channel, self.policy, self.max_message_bytes),
            policy: self.policy,
            max_message_bytes: self.max_message_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_an_http_url_is_taken() {
        for url in ["", "127.0.0.1:50051", "ftp://a", "http://", "http://a b"] {
            let refused = Client::builder(url).connect_lazy();
            assert!(matches!(refused, Err(ConnectError::Url { .. })), "{url:?}");
        }
        for url in ["http://a:1", "https://a"] {
            assert!(Client::builder(url).connect_lazy().is_ok(), "{url}");
        }
    }
}
