//! The credentials of a call.

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use secrecy::ExposeSecret;
use sha2::Sha256;

use super::Engine;
use crate::domain::{
    hex,
    profile::{Auth, Filler},
    sha256_hex,
};

/// Where they stand.
#[derive(Default)]
pub(super) struct Credentials {
    pub(super) headers: HeaderMap,
    /// A parameter of the query with its value.
    pub(super) query: Option<(String, String)>,
}

/// The call that they are for.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a Url,
    /// Nothing of a form.
    pub(super) body: &'a [u8],
}

impl Engine {
    /// None at all without a key.
    pub(super) fn credentials(&self, call: &Signed<'_>) -> Result<Credentials, String> {
        let (Some(auth), Some(key)) = (&self.config.profile.base.auth, &self.config.api_key) else {
            return Ok(Credentials::default());
        };
        let key = key.expose_secret();
        let values = self.values_of_auth(auth, key, call)?;
        let mut headers = Vec::new();
        for (name, value) in &auth.headers {
            headers.push((name, value.fill(&values)?));
        }
        let value = match &auth.value {
            Some(value) => value.fill(&values)?,
            None => key.to_owned(),
        };
        let mut query = None;
        match (&auth.query, &auth.header) {
            (Some(name), _) => query = Some((name.clone(), value)),
            (None, Some(name)) => headers.push((name, value)),
            (None, None) => {}
        }
        let headers = headers.into_iter();
        let headers = headers.map(|(name, value)| secret_header(name, value));
        Ok(Credentials {
            headers: headers.collect::<Result<_, _>>()?,
            query,
        })
    }

    fn values_of_auth(&self, auth: &Auth, key: &str, call: &Signed<'_>) -> Result<Filler, String> {
        let mut values = Filler::default()
            .with("key", key)
            .with("now", (self.now)())
            .with("method", call.method)
            .with("path", call.url.path())
            .with("query", call.url.query().unwrap_or_default())
            .with("body_sha256", sha256_hex(call.body));
        if !auth.signs() {
            return Ok(values);
        }
        let secret = self.config.api_secret.as_ref();
        let secret = secret.ok_or("its api_secret is not set")?.expose_secret();
        if let Some(claims) = &auth.jwt {
            let token = signed(&claims.fill(&values)?.to_string(), secret);
            values = values.with("token", token);
        }
        if let Some(text) = &auth.hmac {
            let signature = hmac(&text.fill(&values)?, secret);
            values = values
                .with("signature", hex(&signature))
                .with("signature_base64", BASE64_STANDARD.encode(&signature));
        }
        Ok(values)
    }
}

fn secret_header(name: &str, value: String) -> Result<(HeaderName, HeaderValue), String> {
    let name = HeaderName::try_from(name);
    let value = HeaderValue::try_from(value);
    let (Ok(name), Ok(mut value)) = (name, value) else {
        return Err("the key has characters that no header takes".to_owned());
    };
    value.set_sensitive(true);
    Ok((name, value))
}

fn hmac(text: &str, secret: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A JWT (RFC 7519) of these claims, signed by HS256.
fn signed(claims: &str, secret: &str) -> String {
    let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let text = format!(
        "{}.{}",
        part(br#"{"alg":"HS256","typ":"JWT"}"#),
        part(claims.as_bytes())
    );
    format!("{text}.{}", part(&hmac(&text, secret)))
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

    /// Test case 2 of RFC 4231.
    #[test]
    fn a_signature_is_what_others_make_of_the_same() {
        assert_eq!(
            hex(&hmac("what do ya want for nothing?", "Jefe")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
