//! The server that a command talks to: a running one, or one of its own in the same process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use super::GenerateError;
use crate::app::Clock;
use crate::client::Client;
use crate::config::{AuthConfig, Config};
use crate::domain::{hex, with_causes};
use crate::identity::Issuer;
use crate::server::{Role, Server};
use crate::shutdown::CLOSING;

/// Longer than any command runs.
const LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// An open connection, with the server behind it if it is our own.
pub(super) struct Connection {
    server: Option<Server>,
    client: Client,
}

/// The server of this process, whose links die with it.
#[derive(Debug)]
pub(super) struct OwnServer {
    /// Its base URL.
    pub url: String,
    /// Where its files are, unless they are in a bucket.
    pub folder: Option<PathBuf>,
}

impl OwnServer {
    /// Where the file of that `media_url` is, if it is on this machine.
    pub(super) fn local_path(&self, media_url: &str) -> Option<PathBuf> {
        let key = media_url.strip_prefix(&self.url)?.strip_prefix("/media/")?;
        let path = self.folder.as_ref()?.join(key);
        path.is_file().then_some(path)
    }
}

impl Connection {
    /// Connects to the server at `url` with this token, or starts one that does everything.
    pub(super) async fn open(
        (url, token): (Option<&str>, Option<&SecretString>),
        config: Config,
    ) -> Result<Self, GenerateError> {
        let Some(url) = url else {
            return Self::start(config, Role::All).await;
        };
        let builder = Client::builder(url);
        let builder = match token {
            Some(token) => builder.token(token.expose_secret())?,
            None => builder,
        };
        Ok(Self {
            server: None,
            client: builder.connect().await?,
        })
    }

    /// Starts a server of our own on a free loopback port.
    pub(super) async fn start(mut config: Config, role: Role) -> Result<Self, GenerateError> {
        config.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        // A configured one names the deployed server, not this one.
        config.server.public_url = None;
        (config.tls.certificate, config.tls.key) = (None, None);
        // Nobody else calls or probes it.
        config.health.listen = None;
        config.server.shutdown_delay = Duration::ZERO;
        // Whoever runs the command is an operator.
        config.named_plans.clear();
        let token = ask_for_token(&mut config);
        let server = Server::start(config, role).await?;
        let url = server
            .url()
            .ok_or_else(|| GenerateError::Stopped("it does not listen".to_owned()))?;
        Ok(Self {
            server: Some(server),
            client: Client::builder(&url).token(&token)?.connect().await?,
        })
    }

    /// What is to be known of our own server; `None` for a running one.
    pub(super) fn own_server(&self) -> Option<OwnServer> {
        let server = self.server.as_ref()?;
        Some(OwnServer {
            url: server.url()?,
            folder: server.app().storage.folder().map(Path::to_owned),
        })
    }

    /// The client of this connection.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Ends when our own server dies by itself, and says why.
    pub(super) async fn broken(&mut self) -> String {
        match &mut self.server {
            Some(server) => match server.stopped().await {
                Ok(()) => "it ended by itself".to_owned(),
                Err(error) => with_causes(&error),
            },
            None => std::future::pending().await,
        }
    }

    /// Stops our own server, within `grace`. What it runs beside, for the database may have jobs of others, ends first.
    pub(super) async fn close(self, grace: Duration) {
        drop(self.client);
        if let Some(server) = self.server {
            in_time(grace, server.shutdown()).await;
        }
    }

    /// Stops our own server, within `grace`, and hands back what it runs: nobody waits for it any more.
    pub(super) async fn abandon(self, grace: Duration) {
        drop(self.client);
        if let Some(server) = self.server {
            in_time(grace, server.hand_back()).await;
        }
    }
}

/// Has the server of this process ask who calls, by a secret that nobody else has, and gives the token for it.
fn ask_for_token(config: &mut Config) -> String {
    let secret = SecretString::from(hex(&rand::random::<[u8; 32]>()));
    config.auth = AuthConfig {
        secret: Some(secret.clone()),
        ..Config::default().auth
    };
    let issuer = Issuer {
        secret: &secret,
        issuer: None,
        audience: &config.auth.audience,
        plan: None,
    };
    let token = issuer.token("atelier", "admin", (Clock::system().now(), LIFETIME));
    token.expect("a secret of 32 bytes signs")
}

async fn in_time(grace: Duration, stopped: impl Future<Output = ()>) {
    if timeout(grace + CLOSING, stopped).await.is_err() {
        tracing::warn!("the shutdown took too long and was cut off");
    }
}
