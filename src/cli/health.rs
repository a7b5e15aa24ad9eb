//! `atelier health`: asks a server how it is, for probes that run a command.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use url::Url;

use super::exit::{self, Misuse};
use super::{CommandResult, output};
use crate::config::{Config, Loaded};

/// How long the server may take to answer; it knows the answer already.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Which server to ask, and how strictly.
#[derive(Debug, Args)]
pub(super) struct HealthArguments {
    /// Base URL of the server [default: from health.listen, else server.listen]
    #[arg(long, value_parser = http_url)]
    url: Option<Url>,

    /// Fail on what leaves reads as they are, too: a read-only or full database, a storage that is away
    #[arg(long)]
    strict: bool,
}

/// Prints what the server says of itself. Succeeds only if the server is ready.
pub(super) async fn run(arguments: HealthArguments, loaded: Loaded) -> CommandResult {
    let mut url = match arguments.url {
        Some(url) => url.join("readyz")?,
        None => Url::parse(&format!("http://{}/readyz", address(&loaded.config)?))?,
    };
    url.set_query(arguments.strict.then_some("strict"));
    let answer = ask(url.clone()).await;
    let (is_ready, words) = answer.map_err(|error| NoAnswer(url, error))?;
    output::print(&words)?;
    Ok(exit::done_if(is_ready))
}

async fn ask(url: Url) -> reqwest::Result<(bool, String)> {
    // Fails only where a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT);
    let answer = client.build()?.get(url).send().await?;
    let is_ready = answer.status().is_success();
    Ok((is_ready, answer.text().await?))
}

/// Where this configuration's server listens on this machine.
fn address(config: &Config) -> Result<SocketAddr, Misuse> {
    if config.health.listen.is_none() && config.tls.certificate.is_some() {
        return Err(Misuse(
            "the certificate is not for this address: set health.listen, or name the server with --url",
        ));
    }
    let mut address = config.health.listen.unwrap_or(config.server.listen);
    if address.port() == 0 {
        return Err(Misuse(
            "the configured port is 0, so the server took a free one: name it with --url",
        ));
    }
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(address)
}

fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok();
    let is_http = |url: &Url| matches!(url.scheme(), "http" | "https");
    url.filter(is_http)
        .ok_or_else(|| "expected an http or https URL".to_owned())
}

#[derive(Debug, thiserror::Error)]
#[error("{0} does not answer")]
struct NoAnswer(Url, #[source] reqwest::Error);
