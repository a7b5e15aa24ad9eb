//! What of this layer reads bytes from outside, see [`crate::fuzzing`].

use std::time::Duration;

use chrono::DateTime;
use futures::FutureExt;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::SecretString;
use serde_json::Value;

use crate::domain::fuzz::Target;

use super::{Keys, Role, Tokens, api_key::ShownKey, key};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

pub(crate) const TARGETS: &[Target] = &[
    (
        "token",
        &[
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI3In0.c2lnbmF0dXJl",
            "a.b.c",
        ],
        token,
    ),
    (
        "claims",
        &[
            r#"{"sub": "7", "scope": "generation.user", "aud": "atelier", "exp": 4000000000, "projects": [5, "6"], "plan": "pro"}"#,
            r#"{"sub": "shop", "scope": "openid generation.service", "aud": ["a", "atelier"], "exp": 4e9, "nbf": 1.5}"#,
        ],
        claims,
    ),
    (
        "api-key",
        &[
            "atk_7_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "atk_",
        ],
        api_key,
    ),
    (
        "key-set",
        &[
            r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}, {"kty": "EC", "crv": "P-256", "x": "a", "y": "b", "use": "sig"}]}"#,
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
        ],
        key_set,
    ),
];

fn tokens() -> Tokens {
    Tokens {
        keys: Keys::new(Some(&SecretString::from(SECRET)), None, None).expect("it is made here"),
        issuer: None,
        audience: "atelier".to_owned(),
        skew: Duration::from_secs(60),
    }
}

/// Nobody but us has the secret.
fn token(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let tokens = tokens();
    let verified = tokens.verify(text, DateTime::UNIX_EPOCH);
    let verified = verified.now_or_never().expect("the keys are at hand");
    assert!(verified.is_err(), "{text:?} is believed");
}

/// Whoever signs is trusted, and makes mistakes.
fn claims(bytes: &[u8]) {
    let claims: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let tokens = tokens();
    let key = EncodingKey::from_secret(SECRET.as_bytes()).expect("it is made here");
    let token = encode(&Header::new(Algorithm::HS256), &claims, &key).expect("it is made here");
    let verified = tokens.verify(&token, DateTime::UNIX_EPOCH);
    let verified = verified.now_or_never().expect("the keys are at hand");
    let Ok(principal) = verified else {
        return;
    };
    assert!(principal.until.is_some());
    if let Role::User(id) = principal.role {
        assert_eq!(claims["sub"], id.to_string());
    }
    assert!(
        principal
            .client
            .is_some_and(|client| client.bytes().all(|byte| byte.is_ascii_graphic()))
    );
}

fn api_key(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(Some(key)) = ShownKey::read(text)
    {
        assert!(text.starts_with("atk_") && key.id >= 0);
    }
}

fn key_set(bytes: &[u8]) {
    let _ = key::of_set(bytes);
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = key::of_file(text);
    }
}
