//! Addresses: what the service listens on and links to.

use std::net::SocketAddr;

use url::{Host, Url};

use super::kind::{Kind, Literal, quote};
use crate::domain::{CertificateRule, HostRule};

/// Whether only programs of this machine reach what the URL names.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

impl Kind for SocketAddr {
    type Value = Self;
    const NAME: &'static str = "address";

    fn read(literal: &Literal) -> Result<Self, String> {
        text(literal)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| {
                "an IP address with a port, such as 127.0.0.1:50051 or [::]:8086".to_owned()
            })
    }

    fn write(value: &Self) -> Option<String> {
        Some(quote(&value.to_string()))
    }
}

impl Kind for Url {
    type Value = Self;
    const NAME: &'static str = "URL";

    fn read(literal: &Literal) -> Result<Self, String> {
        text(literal)
            .and_then(web_url)
            .filter(|url| url.query().is_none() && url.fragment().is_none())
            .ok_or_else(|| {
                "an http or https URL without user, query or fragment, such as https://media.example.com".to_owned()
            })
    }

    fn write(value: &Self) -> Option<String> {
        Some(quote(value.as_str()))
    }
}

/// An origin that browsers may call from, or `*` for every one.
pub(super) struct Origin;

impl Kind for Origin {
    type Value = String;
    const NAME: &'static str = "origin";

    fn read(literal: &Literal) -> Result<String, String> {
        text(literal)
            .filter(|text| {
                *text == "*"
                    || web_url(text).is_some_and(|url| url.origin().ascii_serialization() == *text)
            })
            .map(str::to_owned)
            .ok_or_else(|| {
                r#"a list of origins such as ["https://app.example.com"], or ["*"] for every one"#
                    .to_owned()
            })
    }

    fn write(value: &String) -> Option<String> {
        Some(quote(value))
    }
}

impl Kind for HostRule {
    type Value = Self;
    const NAME: &'static str = "host";

    fn read(literal: &Literal) -> Result<Self, String> {
        text(literal)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| {
                r#"a list of networks and hosts such as ["10.1.0.0/16", "media.example.com", "*.example.org"]"#
                    .to_owned()
            })
    }

    fn write(value: &Self) -> Option<String> {
        Some(quote(&value.to_string()))
    }
}

impl Kind for CertificateRule {
    type Value = Self;
    const NAME: &'static str = "certificate";

    fn read(literal: &Literal) -> Result<Self, String> {
        text(literal)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| {
                r#"a list of DNS names or URIs with their clients, such as ["shop.internal=service:shop", "spiffe://example.org/ops=admin:ops"]"#
                    .to_owned()
            })
    }

    fn write(value: &Self) -> Option<String> {
        Some(quote(&value.to_string()))
    }
}

fn text(literal: &Literal) -> Option<&str> {
    match literal {
        Literal::Text(text) => Some(text),
        _ => None,
    }
}

fn web_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Literal {
        Literal::Text(text.to_owned())
    }

    #[test]
    fn addresses_have_a_port() {
        for address in ["127.0.0.1:0", "0.0.0.0:50051", "[::1]:50051"] {
            assert!(SocketAddr::read(&literal(address)).is_ok(), "{address}");
        }
        for address in ["localhost", "localhost:1", "127.0.0.1"] {
            assert!(SocketAddr::read(&literal(address)).is_err(), "{address}");
        }
    }

    #[test]
    fn urls_of_this_machine_are_known() {
        let is_loopback = |url: &str| is_loopback(&url.parse().unwrap());
        for url in [
            "http://127.0.0.1:1",
            "http://[::1]/a",
            "http://localhost",
            "http://a.localhost",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "http://10.0.0.1",
            "https://a.example",
            "http://notlocalhost",
            "http://localhost.example",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn an_origin_has_no_path_and_no_trailing_slash() {
        for origin in ["*", "https://app.example.com", "http://localhost:3000"] {
            assert!(Origin::read(&literal(origin)).is_ok(), "{origin}");
        }
        for origin in [
            "https://app.example.com/",
            "app.example.com",
            "ftp://a.example",
        ] {
            assert!(Origin::read(&literal(origin)).is_err(), "{origin}");
        }
    }
}
