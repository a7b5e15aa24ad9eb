//! Who is let in, before anything else looks at a call: programs, by the server's own names, and pages of the configured
//! origins. A page of anybody else could otherwise have a browser on this machine, or in this network, call for it.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{Request, State},
    http::{Method, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use url::Url;

use crate::domain::{Error, HostRule, is_loopback_host};

use super::http;

/// Probes name the address that they call, whatever it is.
const PROBES: [&str; 3] = ["/livez", "/readyz", "/healthz"];
/// Most names that the log tells of as refused: they are the callers' own.
const MOST_TOLD: usize = 100;
/// As long as the name of a host may be.
const MOST_SHOWN: usize = 253;

/// By which names the server may be called, and by whose pages.
#[derive(Clone, Debug, Default)]
pub struct AccessSettings {
    /// Hosts beside those of loopback and of `public_url`.
    pub allowed_hosts: Vec<HostRule>,
    /// Where the server is found from outside.
    pub public_url: Option<Url>,
    /// Pages of these origins may call, of `*` all.
    pub origins: Vec<String>,
}

#[derive(Clone)]
pub(super) struct Guard {
    settings: Arc<AccessSettings>,
    told: Arc<Mutex<BTreeSet<String>>>,
}

pub(super) async fn check(State(guard): State<Guard>, call: Request, next: Next) -> Response {
    match guard.admit(&call) {
        Err(error) => refuse(error, &call),
        Ok(()) => match misshapen(&call) {
            Some(refusal) => refusal,
            None => next.run(call).await,
        },
    }
}

impl Guard {
    pub(super) fn new(settings: AccessSettings) -> Self {
        let (settings, told) = (Arc::new(settings), Arc::default());
        Self { settings, told }
    }

    pub(super) fn admit(&self, call: &Request) -> Result<(), Error> {
        let hosts = named_hosts(call);
        let foreign = match hosts.is_empty() {
            true => Some(""),
            false => hosts.iter().copied().find(|host| !self.is_ours(host)),
        };
        if let Some(host) = foreign.filter(|_| !PROBES.contains(&call.uri().path())) {
            let host = shown(host);
            if self.is_news(&host) {
                tracing::warn!(
                    host,
                    "refused a call by a name that is not known here; server.allowed_hosts lets it in"
                );
            }
            return Err(Error::HostNotAllowed { host });
        }
        let mut origins = call.headers().get_all(header::ORIGIN).iter();
        let origin = origins.find_map(|origin| {
            let origin = origin.to_str().unwrap_or_default();
            (!self.may_call(origin, &hosts)).then(|| shown(origin))
        });
        let Some(origin) = origin else {
            return Ok(());
        };
        if self.is_news(&origin) {
            tracing::warn!(
                origin,
                "refused a page of an origin that is not known here; server.cors_origins lets it in"
            );
        }
        Err(Error::OriginNotAllowed { origin })
    }

    fn is_ours(&self, name: &str) -> bool {
        let authority = name.parse::<Authority>().ok();
        let Some(authority) = authority.filter(|_| !name.contains('@')) else {
            return false;
        };
        let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let address = address.parse::<IpAddr>().ok();
        let public = self.settings.public_url.as_ref().and_then(Url::host_str);
        is_loopback_host(&host)
            || public == Some(&host)
            || (self.settings.allowed_hosts.iter()).any(|rule| rule.covers(&host, address))
    }

    /// Whether pages of the origin may call: those that are listed, and those that the server is one origin with.
    fn may_call(&self, origin: &str, hosts: &[&str]) -> bool {
        let settings = &self.settings;
        let is_listed = |listed: &String| listed == "*" || listed == origin;
        let url = Url::parse(origin).ok();
        let url = url.filter(|url| url.origin().ascii_serialization() == origin);
        settings.origins.iter().any(is_listed)
            || url.is_some_and(|url| {
                let public = settings.public_url.as_ref();
                let mut own = hosts.iter().filter(|host| self.is_ours(host));
                public.is_some_and(|public| public.origin() == url.origin())
                    || own.any(|host| names_origin(host, &url))
            })
    }

    /// Whether the log does not have it yet.
    fn is_news(&self, name: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < MOST_TOLD && told.insert(name.to_owned())
    }
}

/// Every name that the call gives to the server, which are two in HTTP/1.1 if it is written as to a proxy.
fn named_hosts(call: &Request) -> Vec<&str> {
    let target = call.uri().authority().map(Authority::as_str);
    let headers = call.headers().get_all(header::HOST).iter();
    let headers = headers.map(|host| host.to_str().unwrap_or_default());
    target.into_iter().chain(headers).collect()
}

/// Whether a call to the host goes to the origin. A proxy may have taken TLS off, so the scheme is the origin's.
fn names_origin(host: &str, origin: &Url) -> bool {
    let url = Url::parse(&format!("{}://{host}", origin.scheme()));
    url.is_ok_and(|url| url.origin() == origin.origin())
}

fn shown(name: &str) -> String {
    name.chars().take(MOST_SHOWN).collect()
}

fn refuse(error: Error, call: &Request) -> Response {
    let mut answer = http::turn_away(error, StatusCode::FORBIDDEN, call);
    // Over gRPC too: browsers show their developers no trailers.
    *answer.status_mut() = StatusCode::FORBIDDEN;
    answer
}

/// What asks for an rpc otherwise than calls do: of what a form could send, browsers ask nobody whether they may.
fn misshapen(call: &Request) -> Option<Response> {
    // Browsers ask so; the answer says who may.
    if !names_rpc(call.uri().path()) || call.method() == Method::OPTIONS {
        return None;
    }
    if call.method() != Method::POST {
        let told = [(header::ALLOW, "POST")];
        return Some((StatusCode::METHOD_NOT_ALLOWED, told, "calls are posted\n").into_response());
    }
    let sentence = "the content type of calls is application/grpc or application/grpc-web\n";
    let refusal = (StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence);
    match http::grpc_format(call.headers()) {
        Some(_) => None,
        None => Some(refusal.into_response()),
    }
}

/// Names of services have a package, and nothing else here has a dot in its first part.
fn names_rpc(path: &str) -> bool {
    let parts = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    parts.is_some_and(|(service, _)| service.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        let rules = ["api", "10.1.0.0/16", "*.example.net", "fd00::/8"];
        Guard::new(AccessSettings {
            allowed_hosts: rules.map(|rule| rule.parse().unwrap()).to_vec(),
            public_url: Some("https://Atelier.example.com/media".parse().unwrap()),
            origins: vec!["https://app.example.com".to_owned()],
        })
    }

    #[test]
    fn names_of_loopback_the_public_one_and_the_allowed_ones_are_the_servers() {
        for ours in [
            "127.0.0.1:50051",
            "127.9.9.9",
            "[::1]:9",
            "[::ffff:127.0.0.1]",
            "localhost",
            "LOCALHOST.:1",
            "atelier.example.com",
            "ATELIER.example.com:443",
            "api:50051",
            "10.1.2.3:1",
            "a.example.net",
            "[fd00::7]:1",
        ] {
            assert!(guard().is_ours(ours), "{ours}");
        }
        for foreign in [
            "",
            " ",
            "evil.example.com",
            "127.0.0.1.evil.example.com",
            "localhost@evil.example.com",
            "evil@localhost",
            "0.0.0.0:50051",
            "[::]",
            "10.2.0.1",
            "192.168.1.1",
            "example.net",
            "notexample.net",
            "[::1",
            "a b",
            "xatelier.example.com",
            "localhost/",
        ] {
            assert!(!guard().is_ours(foreign), "{foreign}");
        }
    }

    #[test]
    fn pages_may_call_that_are_listed_or_of_one_origin_with_the_server() {
        let may_call = |origin: &str, host: &str| guard().may_call(origin, &[host]);
        for (origin, host) in [
            ("https://app.example.com", "127.0.0.1:50051"),
            ("https://atelier.example.com", "127.0.0.1:50051"),
            ("http://localhost:50051", "localhost:50051"),
            ("http://[::1]:50051", "[::1]:50051"),
            ("https://api", "api"),
            ("http://api", "api:80"),
        ] {
            assert!(may_call(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("null", "localhost"),
            ("", "localhost"),
            ("http://localhost:1", "localhost:50051"),
            ("http://127.0.0.1:50051", "localhost:50051"),
            ("https://evil.example.com", "localhost:50051"),
            // A host that has resolved to this machine, and its own page.
            ("http://evil.example.com", "evil.example.com"),
            ("https://app.example.com:8443", "localhost"),
            ("http://localhost/page", "localhost"),
            ("file://localhost", "localhost"),
        ] {
            assert!(!may_call(origin, host), "{origin} {host}");
        }
    }

    #[test]
    fn paths_of_services_have_a_dot_in_their_first_part() {
        for path in [
            "/generation.v1.JobService/GetJob",
            "/grpc.health.v1.Health/Check",
            "/a.b/",
        ] {
            assert!(names_rpc(path), "{path}");
        }
        for path in [
            "/",
            "/livez",
            "/media/jobs/a.b/c.png",
            "/v1/models/a.b",
            "/robots.txt",
            "//a.b/c",
        ] {
            assert!(!names_rpc(path), "{path}");
        }
    }
}
