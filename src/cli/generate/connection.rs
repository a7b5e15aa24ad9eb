//! The server that a command talks to: a running one, or one of its own in the same process.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use super::GenerateError;
use crate::config::Config;
use crate::domain::with_causes;
use crate::rpc::proto::feature_service_client::FeatureServiceClient;
use crate::rpc::proto::job_service_client::JobServiceClient;
use crate::rpc::proto::media_service_client::MediaServiceClient;
use crate::rpc::proto::request_service_client::RequestServiceClient;
use crate::rpc::proto::template_service_client::TemplateServiceClient;
use crate::server::{Role, Server};
use crate::shutdown::CLOSING;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a silent connection is asked whether it is alive, so that a server that vanished is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// An open connection, with the server behind it if it is our own.
pub struct Connection {
    server: Option<Server>,
    client: Client,
}

/// The clients of all services over one channel. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    own_url: Option<String>,
}

impl Connection {
    /// Connects to the server at `url`, or starts one on a free loopback port.
    pub async fn open(url: Option<&str>, config: Config) -> Result<Self, GenerateError> {
        match url {
            Some(url) => {
                let client = Client {
                    channel: connect(url).await?,
                    own_url: None,
                };
                Ok(Self {
                    server: None,
                    client,
                })
            }
            None => Self::start(config).await,
        }
    }

    async fn start(mut config: Config) -> Result<Self, GenerateError> {
        config.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        // A configured one names the deployed server, not this one.
        config.server.public_url = None;
        let server = Server::start(config, Role::All).await?;
        let url = server
            .url()
            .ok_or_else(|| GenerateError::Stopped("it does not listen".to_owned()))?;
        let channel = connect(&url).await?;
        Ok(Self {
            server: Some(server),
            client: Client {
                channel,
                own_url: Some(url),
            },
        })
    }

    /// The clients of this connection.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Ends when our own server dies by itself, and says why.
    pub async fn broken(&mut self) -> String {
        match &mut self.server {
            Some(server) => match server.stopped().await {
                Ok(()) => "it ended by itself".to_owned(),
                Err(error) => with_causes(&error),
            },
            None => std::future::pending().await,
        }
    }

    /// Stops our own server; work that still runs after `grace` is cut off.
    pub async fn close(self, grace: Duration) {
        drop(self.client);
        if let Some(server) = self.server
            && timeout(grace + CLOSING, server.shutdown(grace))
                .await
                .is_err()
        {
            tracing::warn!("the shutdown took too long and was cut off");
        }
    }
}

impl Client {
    /// The client of FeatureService.
    pub fn features(&self) -> FeatureServiceClient<Channel> {
        FeatureServiceClient::new(self.channel.clone())
    }

    /// The client of TemplateService.
    pub fn templates(&self) -> TemplateServiceClient<Channel> {
        TemplateServiceClient::new(self.channel.clone())
    }

    /// The client of RequestService.
    pub fn requests(&self) -> RequestServiceClient<Channel> {
        RequestServiceClient::new(self.channel.clone())
    }

    /// The client of JobService.
    pub fn jobs(&self) -> JobServiceClient<Channel> {
        JobServiceClient::new(self.channel.clone())
    }

    /// The client of MediaService.
    pub fn media(&self) -> MediaServiceClient<Channel> {
        MediaServiceClient::new(self.channel.clone())
    }

    /// Clients of a server that is not there.
    #[cfg(test)]
    pub fn unconnected() -> Self {
        Self {
            channel: Endpoint::from_static("http://127.0.0.1:1").connect_lazy(),
            own_url: None,
        }
    }

    /// The base URL of our own server, whose links die with this process; `None` for a running server.
    pub fn own_url(&self) -> Option<&str> {
        self.own_url.as_deref()
    }
}

async fn connect(url: &str) -> Result<Channel, GenerateError> {
    let invalid = || GenerateError::ServerUrl {
        url: url.to_owned(),
    };
    if !url.starts_with("http://") {
        return Err(invalid());
    }
    Endpoint::from_shared(url.to_owned())
        .map_err(|_| invalid())?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .connect()
        .await
        .map_err(|source| GenerateError::Connect {
            url: url.to_owned(),
            source,
        })
}
