//! Whom the certificates of clients stand for, see docs/identity.md#certificates.

use std::{fmt, str::FromStr};

/// Longest name in a certificate.
const MAX_SAN_CHARS: usize = 255;
/// Longest name of a client.
const MAX_NAME_CHARS: usize = 64;

/// A name in certificates and the client that it stands for, such as `shop.internal=service:shop`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRule {
    /// A DNS name in lower case, or a URI as it is written.
    pub san: String,
    /// Whether the client is an admin; it is a service otherwise.
    pub is_admin: bool,
    /// With its scope, as idempotency keys know a client: `service:shop`.
    pub client: String,
}

impl FromStr for CertificateRule {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (san, client) = text.rsplit_once('=').ok_or(())?;
        let (scope, name) = client.split_once(':').ok_or(())?;
        let is_name = (1..=MAX_NAME_CHARS).contains(&name.len()) && is_visible(name);
        let is_admin = match scope {
            "admin" => true,
            "service" => false,
            _ => return Err(()),
        };
        let san = match san.contains("://") {
            true => san.to_owned(),
            false => san.to_ascii_lowercase(),
        };
        let is_san = san.contains("://") || san.split('.').all(is_label);
        match is_name && is_san && san.len() <= MAX_SAN_CHARS && is_visible(&san) {
            true => Ok(Self {
                san,
                is_admin,
                client: client.to_owned(),
            }),
            false => Err(()),
        }
    }
}

impl fmt::Display for CertificateRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.san, self.client)
    }
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_label(label: &str) -> bool {
    let ours = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !label.is_empty() && label.bytes().all(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_says_whom_a_name_stands_for_and_is_written_as_it_was_read() {
        let rule = |text: &str| text.parse::<CertificateRule>();
        let shop = rule("Shop.Internal=service:shop").unwrap();
        assert_eq!(
            (shop.san.as_str(), shop.client.as_str()),
            ("shop.internal", "service:shop")
        );
        assert!(!shop.is_admin);
        let ops = "spiffe://Example.org/ns/ops?a=b=admin:ops";
        let read = rule(ops).unwrap();
        assert!(read.is_admin && read.san == "spiffe://Example.org/ns/ops?a=b");
        assert_eq!(read.to_string(), ops);
        for wrong in [
            "",
            "shop.internal",
            "shop.internal=shop",
            "shop.internal=user:7",
            "shop.internal=service:",
            "shop.internal=service:two words",
            "=service:shop",
            "*.internal=service:shop",
            "shop..internal=service:shop",
            "spiffe://a b=service:shop",
        ] {
            assert_eq!(rule(wrong), Err(()), "{wrong}");
        }
        let long = format!("a=service:{}", "x".repeat(65));
        assert_eq!(rule(&long), Err(()));
    }
}
