//! Certificates of clients, which TLS has verified: whom the names in them stand for.

use std::sync::Arc;

use super::principal::{Principal, Proof, Role};
use crate::domain::{CertificateRule, Error};

/// The names that stand for clients. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Certificates(Arc<[CertificateRule]>);

impl Certificates {
    /// Of several that a certificate has, the first of these counts.
    pub fn new(rules: Vec<CertificateRule>) -> Self {
        Self(rules.into())
    }

    /// Whether there are any.
    pub fn are_taken(&self) -> bool {
        !self.0.is_empty()
    }

    /// Who has shown a certificate with these names.
    ///
    /// # Errors
    /// None of them stands for anybody.
    pub fn holder(&self, names: &[String]) -> Result<Principal, Error> {
        let rule = self.0.iter().find(|rule| names.contains(&rule.san));
        let unknown = "no name in the client's certificate is among auth.certificates";
        let rule = rule.ok_or(Error::CredentialsInvalid(unknown))?;
        Ok(Principal {
            role: match rule.is_admin {
                true => Role::Admin,
                false => Role::Service,
            },
            proof: Proof::Certificate,
            client: Some(rule.client.clone()),
            ..Principal::local()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_says_who_it_is_and_nobody_else_is_anybody() {
        let rules = ["spiffe://a/ops=admin:ops", "shop.internal=service:shop"];
        let rules = rules.map(|rule| rule.parse().unwrap()).to_vec();
        let certificates = Certificates::new(rules);
        let holder = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
            certificates.holder(&names)
        };
        let shop = holder(&["x.internal", "shop.internal"]).unwrap();
        assert_eq!((shop.role, shop.proof), (Role::Service, Proof::Certificate));
        assert_eq!(shop.client.as_deref(), Some("service:shop"));
        let both = holder(&["shop.internal", "spiffe://a/ops"]).unwrap();
        assert_eq!(
            (both.role, both.client.as_deref()),
            (Role::Admin, Some("admin:ops"))
        );
        for names in [
            &[][..],
            &["SHOP.internal"],
            &["*.internal"],
            &["spiffe://a/op"],
        ] {
            assert!(
                matches!(holder(names), Err(Error::CredentialsInvalid(_))),
                "{names:?}"
            );
        }
        assert!(!Certificates::default().are_taken());
    }
}
