//! The credentials of a call.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use sha2::Sha256;

use super::Engine;
use crate::domain::profile::{Auth, Filler};

/// Where they stand.
#[derive(Default)]
pub(super) struct Credentials {
    pub(super) headers: HeaderMap,
    /// A parameter of the query with its value.
    pub(super) query: Option<(String, String)>,
}

impl Engine {
    /// None at all without a key.
    pub(super) fn credentials(&self) -> Result<Credentials, String> {
        let (Some(auth), Some(key)) = (&self.config.profile.base.auth, &self.config.api_key) else {
            return Ok(Credentials::default());
        };
        let value = self.value(auth, key.expose_secret())?;
        let mut credentials = Credentials::default();
        if let Some(name) = &auth.query {
            credentials.query = Some((name.clone(), value));
        } else if let Some(name) = &auth.header {
            let name = HeaderName::try_from(name);
            let value = HeaderValue::try_from(value);
            let (Ok(name), Ok(mut value)) = (name, value) else {
                return Err("the key has characters that no header takes".to_owned());
            };
            value.set_sensitive(true);
            credentials.headers.insert(name, value);
        }
        Ok(credentials)
    }

    fn value(&self, auth: &Auth, key: &str) -> Result<String, String> {
        let mut values = Filler::default().with("key", key).with("now", (self.now)());
        if let Some(claims) = &auth.jwt {
            let claims = claims.fill(&values)?;
            let secret = self
                .config
                .api_secret
                .as_ref()
                .ok_or("its api_secret is not set")?;
            values = values.with("token", signed(&claims.to_string(), secret.expose_secret()));
        }
        match &auth.value {
            Some(value) => value.fill(&values),
            None => Ok(key.to_owned()),
        }
    }
}

/// A JWT (RFC 7519) of these claims, signed by HS256.
fn signed(claims: &str, secret: &str) -> String {
    let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let text = format!(
        "{}.{}",
        part(br#"{"alg":"HS256","typ":"JWT"}"#),
        part(claims.as_bytes())
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(text.as_bytes());
    format!("{text}.{}", part(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_what_others_make_of_the_same() {
        // The example of jwt.io.
        let claims = r#"{"sub":"1234567890","name":"John Doe","iat":1516239022}"#;
        let token = signed(claims, "your-256-bit-secret");
        assert_eq!(
            token,
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
             eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.\
             SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
        );
    }
}
