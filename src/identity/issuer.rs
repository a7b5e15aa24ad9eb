//! Tokens that the server signs itself: for development, and for a client in its own process.

use std::time::Duration;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, errors::Error};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{SCOPE_PREFIX, cryptography};

/// Makes tokens with the shared secret.
pub struct Issuer<'a> {
    /// Of at least 32 bytes.
    pub secret: &'a SecretString,
    /// As whom.
    pub issuer: Option<&'a str>,
    /// For which server.
    pub audience: &'a str,
    /// The plan of the users.
    pub plan: Option<&'a str>,
}

impl Issuer<'_> {
    /// A token for `subject`, the id of a user or the name of a client, that holds for so long. `role` is `user`, `service` or
    /// `admin`.
    ///
    /// # Errors
    /// The secret is empty.
    pub fn token(
        &self,
        subject: &str,
        role: &str,
        (now, lifetime): (DateTime<Utc>, Duration),
    ) -> Result<String, Error> {
        cryptography::install();
        let (now, lifetime) = (now.timestamp(), lifetime.as_secs());
        let mut claims = json!({
            "sub": subject,
            "scope": format!("{SCOPE_PREFIX}{role}"),
            "aud": self.audience,
            "iat": now,
            "exp": now.saturating_add_unsigned(lifetime),
        });
        if let Some(issuer) = self.issuer {
            claims["iss"] = issuer.into();
        }
        if let Some(plan) = self.plan {
            claims["plan"] = plan.into();
        }
        let key = EncodingKey::from_secret(self.secret.expose_secret().as_bytes())?;
        encode(&Header::new(Algorithm::HS256), &claims, &key)
    }
}
