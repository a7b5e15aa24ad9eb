use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use secrecy::SecretString;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::identity::{Issuer, Pace, PublishedKeys};

const SECRET: &str = "a secret of the tests, of 32 bytes or more";
/// Made for these tests alone.
const RSA: &str = include_str!("rsa.pem");
const RSA_PUBLIC: &str = include_str!("rsa.pub.pem");
const NOW: i64 = 1_800_000_000;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW, 0).unwrap()
}

fn tokens(keys: Keys) -> Tokens {
    Tokens {
        keys,
        issuer: Some("https://id.example".to_owned()),
        audience: "atelier".to_owned(),
        skew: Duration::from_secs(30),
    }
}

fn by_secret() -> Tokens {
    tokens(Keys::new(Some(&SECRET.into()), None, None).unwrap())
}

fn by_file(text: &str) -> Tokens {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    tokens(Keys::new(None, Some(&file.path().to_owned()), None).unwrap())
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example", "aud": "atelier", "sub": "7", "scope": "generation.user",
        "exp": NOW + 60,
    })
}

fn signed(algorithm: Algorithm, key: &EncodingKey, id: Option<&str>, claims: &Value) -> String {
    let header = Header {
        kid: id.map(str::to_owned),
        ..Header::new(algorithm)
    };
    encode(&header, claims, key).unwrap()
}

fn by_hs256(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes()).unwrap();
    signed(Algorithm::HS256, &key, None, claims)
}

/// The claims with this one instead, or without it.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

async fn refusal(tokens: &Tokens, token: &str) -> String {
    match tokens.verify(token, now()).await {
        Err(error) => error.to_string(),
        Ok(principal) => panic!("{principal:?} was let in"),
    }
}

#[tokio::test]
async fn a_token_says_who_calls() {
    let tokens = by_secret();
    let mut full = claims();
    full["plan"] = "pro".into();
    full["projects"] = json!([3, "12"]);
    full["scope"] = "openid generation.user".into();
    full["aud"] = json!(["other", "atelier"]);
    let principal = tokens.verify(&by_hs256(&full), now()).await.unwrap();
    assert_eq!(
        principal,
        Principal {
            role: Role::User(7),
            proof: Proof::Token,
            until: DateTime::from_timestamp(NOW + 90, 0),
            plan: Some("pro".to_owned()),
            projects: BTreeSet::from([3, 12]),
            client: Some("user:7".to_owned()),
        }
    );
    for (scope, role, client) in [
        ("generation.service", Role::Service, "service:7"),
        ("generation.admin", Role::Admin, "admin:7"),
        ("generation.user generation.admin", Role::Admin, "admin:7"),
    ] {
        let token = by_hs256(&with("scope", scope.into()));
        let principal = tokens.verify(&token, now()).await.unwrap();
        assert_eq!(
            (principal.role, principal.client.as_deref()),
            (role, Some(client))
        );
    }
}

#[tokio::test]
async fn each_claim_is_checked_and_named() {
    let tokens = by_secret();
    for (name, value, words) in [
        ("exp", Value::Null, "exp"),
        ("exp", json!("soon"), "exp"),
        ("exp", json!(-1), "exp"),
        ("exp", json!(1e300), "exp"),
        ("exp", json!(NOW - 30), "expired"),
        ("nbf", json!(NOW + 31), "nbf"),
        ("nbf", json!([]), "nbf"),
        ("iss", Value::Null, "iss"),
        ("iss", json!("https://evil.example"), "iss"),
        ("iss", json!(7), "iss"),
        ("aud", Value::Null, "aud"),
        ("aud", json!("other"), "aud"),
        ("aud", json!([]), "aud"),
        ("aud", json!(7), "aud"),
        ("sub", Value::Null, "sub"),
        ("sub", json!(7), "sub"),
        ("sub", json!(""), "sub"),
        ("sub", json!("0"), "sub"),
        ("sub", json!("07"), "sub"),
        ("sub", json!("+7"), "sub"),
        ("sub", json!("-7"), "sub"),
        ("sub", json!(" 7"), "sub"),
        ("sub", json!("٧"), "sub"),
        ("sub", json!("9223372036854775808"), "sub"),
        ("scope", Value::Null, "scope"),
        ("scope", json!(["generation.user"]), "scope"),
        ("scope", json!("generation.users"), "scope"),
        ("scope", json!("xgeneration.admin"), "scope"),
        ("plan", json!(7), "plan"),
        ("plan", json!(""), "plan"),
        ("projects", json!(3), "projects"),
        ("projects", json!([0]), "projects"),
        ("projects", json!(["a"]), "projects"),
    ] {
        let told = refusal(&tokens, &by_hs256(&with(name, value.clone()))).await;
        assert!(told.contains(words), "{name} {value}: {told}");
    }
    // Within the bounds of the clocks.
    for (name, value) in [
        ("exp", json!(NOW - 29)),
        ("nbf", json!(NOW + 30)),
        ("exp", json!(NOW as f64 + 0.5)),
        ("sub", json!("9223372036854775807")),
    ] {
        let token = by_hs256(&with(name, value.clone()));
        assert!(tokens.verify(&token, now()).await.is_ok(), "{name} {value}");
    }
    let mut named = with("scope", "generation.service".into());
    for name in ["", "two words", "line\nbreak", &"x".repeat(65)] {
        named["sub"] = name.into();
        let told = refusal(&tokens, &by_hs256(&named)).await;
        assert!(told.contains("name of a client"), "{name:?}: {told}");
    }
}

#[tokio::test]
async fn a_token_is_checked_by_the_algorithm_of_the_key_and_no_other() {
    let encoded = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let unsigned = |alg: &str| {
        format!(
            "{}.{}.",
            encoded(&json!({ "alg": alg })),
            encoded(&claims())
        )
    };
    let keys = [by_secret(), by_file(RSA_PUBLIC)];
    for alg in ["none", "None", "NONE", "", "HS256", "RS256", "HS1"] {
        for keys in &keys {
            refusal(keys, &unsigned(alg)).await;
        }
    }
    // What everybody knows of a key is no secret to sign with.
    let der = RSA_PUBLIC
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect::<String>();
    for known in [
        RSA_PUBLIC.as_bytes(),
        RSA_PUBLIC.trim_end().as_bytes(),
        der.as_bytes(),
    ] {
        let key = EncodingKey::from_secret(known).unwrap();
        let forged = signed(Algorithm::HS256, &key, None, &claims());
        refusal(&keys[1], &forged).await;
    }
    // A good signature by an algorithm that the key is not for.
    let rsa = EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap();
    let good = signed(Algorithm::RS256, &rsa, None, &claims());
    assert!(keys[1].verify(&good, now()).await.is_ok());
    assert_eq!(
        refusal(&keys[0], &good).await,
        told_of(ErrorKind::InvalidSignature)
    );
    let other = good.replacen(&encoded(&json!({ "alg": "RS256", "typ": "JWT" })), "", 1);
    for alg in ["RS512", "PS256", "HS256", "ES256"] {
        let relabelled = format!("{}{other}", encoded(&json!({ "alg": alg })));
        refusal(&keys[1], &relabelled).await;
    }
    let critical = json!({ "alg": "HS256", "crit": ["x"], "x": 1 });
    let whole = by_hs256(&claims());
    let rest = whole.split_once('.').unwrap().1;
    refusal(&keys[0], &format!("{}.{rest}", encoded(&critical))).await;
}

fn told_of(wrong: ErrorKind) -> String {
    Error::CredentialsInvalid(told(&wrong)).to_string()
}

#[tokio::test]
async fn a_changed_token_is_refused_and_none_of_it_is_told() {
    let tokens = by_secret();
    let token = by_hs256(&claims());
    for (at, letter) in token.char_indices().filter(|(_, letter)| *letter != '.') {
        let other = if letter == 'A' { "B" } else { "A" };
        let mut changed = token.clone();
        changed.replace_range(at..=at, other);
        // The last letter has bits that stand for nothing.
        if let Err(error) = tokens.verify(&changed, now()).await {
            assert!(!error.to_string().contains("example"), "{error}");
        } else {
            assert_eq!(at, token.len() - 1);
        }
    }
    for text in ["", ".", "..", "a.b.c", "a", "....", &"a".repeat(9_000)] {
        refusal(&tokens, text).await;
    }
}

#[tokio::test]
async fn keys_of_every_kind_are_read_of_pem_blocks_and_of_a_set() {
    let random = SystemRandom::new();
    let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec.as_ref(), &random).unwrap();
    let point = pair.public_key().as_ref();
    let ed_public = Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap();
    let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let set = json!({ "keys": [
        { "kty": "EC", "crv": "P-256", "kid": "ec", "x": text(&point[1..33]), "y": text(&point[33..]) },
        { "kty": "OKP", "crv": "Ed25519", "kid": "ed", "alg": "EdDSA", "use": "sig",
          "x": text(ed_public.public_key().as_ref()) },
        { "kty": "OKP", "crv": "Ed25519", "kid": "enc", "use": "enc",
          "x": text(ed_public.public_key().as_ref()) },
        { "kty": "oct", "kid": "oct", "k": text(SECRET.as_bytes()) },
        { "kty": "EC", "crv": "secp256k1", "kid": "k1", "x": "AA", "y": "AA" },
        { "kty": "EC", "crv": "P-256", "kid": "short", "x": "AA", "y": "AA" },
        { "kty": "what", "kid": 7 },
        7,
    ]});
    let tokens = by_file(&set.to_string());
    let (ec, ed) = (
        EncodingKey::from_ec_der(ec.as_ref()),
        EncodingKey::from_ed_der(ed.as_ref()),
    );
    for (algorithm, key, id, is_good) in [
        (Algorithm::ES256, &ec, Some("ec"), true),
        (Algorithm::ES256, &ec, None, true),
        (Algorithm::ES256, &ec, Some("ed"), false),
        (Algorithm::EdDSA, &ed, Some("ed"), true),
        (Algorithm::EdDSA, &ed, Some("enc"), false),
        (Algorithm::EdDSA, &ed, Some("unknown"), false),
    ] {
        let token = signed(algorithm, key, id, &claims());
        assert_eq!(
            tokens.verify(&token, now()).await.is_ok(),
            is_good,
            "{algorithm:?} {id:?}"
        );
    }
    let oct = signed(
        Algorithm::HS256,
        &EncodingKey::from_secret(SECRET.as_bytes()).unwrap(),
        Some("oct"),
        &claims(),
    );
    refusal(&tokens, &oct).await;
}

#[test]
fn what_is_no_key_is_said() {
    let of_file = |text: &str| crate::identity::key::of_file(text).unwrap_err();
    assert!(of_file("").contains("neither a PEM block nor a JWK set"));
    assert!(of_file(RSA).contains("private keys"), "{}", of_file(RSA));
    assert!(of_file("{").contains("no JSON"));
    assert!(of_file("{}").contains("no JWK set"));
    assert!(of_file("{\"keys\": []}").contains("no key for"));
    assert_eq!(
        crate::identity::key::of_file(&format!("{RSA_PUBLIC}\n{RSA_PUBLIC}"))
            .unwrap()
            .len(),
        2
    );
    let short = Keys::new(Some(&SecretString::from("short")), None, None);
    assert!(short.unwrap_err().to_string().contains("32 bytes"));
    let missing = Keys::new(None, Some(&"/nowhere/keys.pem".into()), None);
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .contains("/nowhere/keys.pem")
    );
}

#[tokio::test]
async fn a_token_of_our_own_is_taken() {
    let secret = SecretString::from(SECRET);
    let issuer = Issuer {
        secret: &secret,
        issuer: Some("https://id.example"),
        audience: "atelier",
        plan: Some("pro"),
    };
    let token = issuer
        .token("7", "user", (now(), Duration::from_secs(5)))
        .unwrap();
    let principal = by_secret().verify(&token, now()).await.unwrap();
    assert_eq!(principal.role, Role::User(7));
    assert_eq!(principal.plan.as_deref(), Some("pro"));
    let later = now() + TimeDelta::seconds(35);
    let expired = by_secret().verify(&token, later).await;
    assert!(matches!(expired, Err(Error::CredentialsExpired)));
}

/// Who publishes a set of keys, or nothing but errors.
struct Publisher {
    url: String,
    calls: Arc<AtomicUsize>,
    set: Arc<Mutex<Option<Value>>>,
}

impl Publisher {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (calls, set) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
        let publisher = Self { url, calls, set };
        let (calls, set) = (publisher.calls.clone(), publisher.set.clone());
        tokio::spawn(async move {
            loop {
                let (mut io, _) = listener.accept().await.unwrap();
                let mut call = [0; 4096];
                let _ = io.read(&mut call).await;
                calls.fetch_add(1, Ordering::Relaxed);
                let answer = match &*set.lock().unwrap() {
                    Some(set) => ("200 OK", set.to_string()),
                    None => ("500 Gone", String::new()),
                };
                let (status, body) = answer;
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                let _ = io.write_all(answer.as_bytes()).await;
            }
        });
        publisher
    }

    fn publish(&self, keys: Option<&[&Signer]>) {
        let set = keys.map(|keys| keys.iter().map(|key| key.jwk()).collect::<Vec<_>>());
        *self.set.lock().unwrap() = set.map(|keys| json!({ "keys": keys }));
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn tokens(&self, pause: Duration, keep: Duration) -> Tokens {
        let url = self.url.parse().unwrap();
        let published = PublishedKeys::new(url, Pace { pause, keep }).unwrap();
        tokens(Keys::new(Some(&SECRET.into()), None, Some(published)).unwrap())
    }
}

struct Signer {
    id: &'static str,
    pkcs8: Vec<u8>,
}

impl Signer {
    fn new(id: &'static str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pkcs8 = pkcs8.as_ref().to_vec();
        Self { id, pkcs8 }
    }

    fn jwk(&self) -> Value {
        let pair = Ed25519KeyPair::from_pkcs8(&self.pkcs8).unwrap();
        let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": x })
    }

    fn token(&self) -> String {
        let key = EncodingKey::from_ed_der(&self.pkcs8);
        signed(Algorithm::EdDSA, &key, Some(self.id), &claims())
    }
}

#[tokio::test]
async fn published_keys_are_got_when_one_is_not_known_and_no_more_often() {
    let publisher = Publisher::start().await;
    let (old, new, foreign) = (
        Signer::new("old"),
        Signer::new("new"),
        Signer::new("foreign"),
    );
    publisher.publish(Some(&[&old]));
    let tokens = publisher.tokens(Duration::MAX, Duration::ZERO);
    let (old_token, foreign_token) = (old.token(), foreign.token());
    let all = (0..20).map(|_| tokens.verify(&old_token, now()));
    for verified in futures::future::join_all(all).await {
        verified.unwrap();
    }
    assert_eq!(publisher.calls(), 1);
    for _ in 0..20 {
        refusal(&tokens, &foreign_token).await;
    }
    assert_eq!(publisher.calls(), 1, "within the pause nobody is asked");
    // The secret's tokens never need them.
    tokens.verify(&by_hs256(&claims()), now()).await.unwrap();

    let tokens = publisher.tokens(Duration::ZERO, Duration::ZERO);
    tokens.verify(&old_token, now()).await.unwrap();
    publisher.publish(Some(&[&new]));
    tokens.verify(&new.token(), now()).await.unwrap();
    refusal(&tokens, &old_token).await;
    let tokens = publisher.tokens(Duration::ZERO, Duration::MAX);
    publisher.publish(Some(&[&old]));
    tokens.verify(&old_token, now()).await.unwrap();
    publisher.publish(Some(&[&new]));
    tokens.verify(&new.token(), now()).await.unwrap();
    tokens
        .verify(&old_token, now())
        .await
        .expect("a withdrawn key is kept");
}

#[tokio::test]
async fn a_publisher_that_fails_locks_nobody_out() {
    let publisher = Publisher::start().await;
    let (known, new) = (Signer::new("known"), Signer::new("new"));
    let tokens = publisher.tokens(Duration::ZERO, Duration::ZERO);
    let unknown = tokens.verify(&known.token(), now()).await;
    assert!(
        matches!(unknown, Err(Error::CredentialsUnverifiable(_))),
        "{unknown:?}"
    );
    publisher.publish(Some(&[&known]));
    tokens.verify(&known.token(), now()).await.unwrap();
    publisher.publish(None);
    tokens.verify(&known.token(), now()).await.unwrap();
    let unknown = tokens.verify(&new.token(), now()).await;
    assert!(
        matches!(unknown, Err(Error::CredentialsUnverifiable(_))),
        "{unknown:?}"
    );
    tokens.verify(&known.token(), now()).await.unwrap();
}
