//! How clients reach the server, and how it finds out who they are.

use std::{net::SocketAddr, num::NonZeroU32};

use url::Url;

use crate::{
    config::Config,
    identity::{Authentication, Certificates, Keys, KeysError, Pace, PublishedKeys, Tokens},
    rpc::{
        AccessSettings, Bounds, FrontSettings, PortSettings, RateSettings, Tls, TlsError,
        TlsSettings,
    },
    server::StartError,
};

use super::limits;

pub(super) fn server_url(config: &Config, address: Option<SocketAddr>) -> Result<Url, StartError> {
    let address = address.unwrap_or(config.server.listen);
    Ok(match &config.server.public_url {
        Some(url) => url.clone(),
        None => Url::parse(&format!("{}://{address}", scheme(config)))?,
    })
}

pub(in crate::server) fn front(config: &Config) -> FrontSettings {
    FrontSettings {
        user: config.front.user.and_then(|id| i64::try_from(id).ok()),
        wait: config.front.wait,
        limits: limits(config),
    }
}

/// How the clients' port is spoken to.
pub(in crate::server) fn scheme(config: &Config) -> &'static str {
    match config.tls.certificate {
        Some(_) => "https",
        None => "http",
    }
}

/// What finds out who calls.
pub(in crate::server) fn authentication(config: &Config) -> Result<Authentication, KeysError> {
    let auth = &config.auth;
    let mut authentication = Authentication {
        tokens: None,
        api_keys: auth.api_keys,
        certificates: Certificates::new(auth.certificates.clone()),
    };
    if !config.takes_tokens() {
        return Ok(authentication);
    }
    let pace = Pace {
        pause: auth.jwks_pause,
        keep: auth.jwks_keep,
    };
    let published = auth.jwks_url.clone();
    let published = published.map(|url| PublishedKeys::new(url, pace));
    let keys = Keys::new(
        auth.secret.as_ref(),
        auth.keys_file.as_ref(),
        published.transpose()?,
    )?;
    authentication.tokens = Some(Tokens {
        keys,
        issuer: auth.issuer.clone(),
        audience: auth.audience.clone(),
        skew: auth.clock_skew,
    });
    Ok(authentication)
}

pub(in crate::server) fn port(
    config: &Config,
    authentication: Authentication,
) -> Result<PortSettings, TlsError> {
    let server = &config.server;
    Ok(PortSettings {
        access: AccessSettings {
            allowed_hosts: server.allowed_hosts.clone(),
            public_url: server.public_url.clone(),
            origins: server.cors_origins.clone(),
        },
        authentication,
        connections: Bounds {
            in_all: server.max_connections,
            per_peer: server.max_connections_per_peer,
        },
        watches: Bounds {
            in_all: server.max_watches,
            per_peer: server.max_watches_per_peer,
        },
        rates: rates(config),
        tls: tls(config).map(Tls::load).transpose()?,
    })
}

/// 0 sets no limit.
fn rates(config: &Config) -> RateSettings {
    let rates = &config.rates;
    RateSettings {
        reads: NonZeroU32::new(rates.reads),
        writes: NonZeroU32::new(rates.writes),
        admin: NonZeroU32::new(rates.admin),
    }
}

/// One file without the other is refused with the configuration.
fn tls(config: &Config) -> Option<TlsSettings> {
    let tls = &config.tls;
    Some(TlsSettings {
        certificate: tls.certificate.clone()?,
        key: tls.key.clone()?,
        client_ca: tls.client_ca.clone(),
        reload_interval: tls.reload_interval,
    })
}
