//! Tokens of an identity provider that publishes its keys, and changes them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use atelier::config::Config;
use atelier::rpc::proto::{CountRequestsRequest, ErrorReason};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Status};

use crate::support::database::on_both_databases;
use crate::support::identity::by;
use crate::support::refusal::of_status;
use crate::support::server::TestServer;

const ISSUER: &str = "https://id.example.com";
const LOOK_AGAIN: Duration = Duration::from_millis(50);

on_both_databases! {
    async fn keys_are_changed_without_locking_anybody_out(db: TestDatabase) {
        let provider = IdentityProvider::start().await;
        let (old, new) = (Signer::new("old"), Signer::new("new"));
        provider.publish(Some(&[&old]));
        let server = TestServer::start_with(&db, |config| provider.is_asked_by(config)).await;
        let call = async |signer: &Signer| {
            let call = by(&signer.token(), CountRequestsRequest::default());
            server.requests().count_requests(call).await.map(|_| ())
        };
        call(&old).await.unwrap();

        provider.publish(Some(&[&old, &new]));
        in_the_end(async || call(&new).await.is_ok()).await;
        call(&old).await.unwrap();

        // It is withdrawn: refreshed every second and kept for one, it is refused soon.
        provider.publish(Some(&[&new]));
        in_the_end(async || call(&old).await.is_err()).await;
        refused(call(&old).await, Code::Unauthenticated, ErrorReason::CredentialsInvalid);

        provider.publish(None);
        let stranger = Signer::new("stranger");
        in_the_end(async || call(&stranger).await.is_err_and(|status| status.code() == Code::Unavailable)).await;
        refused(call(&stranger).await, Code::Unavailable, ErrorReason::CredentialsUnverifiable);
        call(&new).await.expect("what is known holds while the keys cannot be got");
    }
}

fn refused(answer: Result<(), Status>, code: Code, reason: ErrorReason) {
    of_status(&answer.unwrap_err()).is(code, reason);
}

async fn in_the_end(happens: impl AsyncFn() -> bool) {
    crate::support::server::within(async {
        while !happens().await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}

/// It publishes a set of keys, or nothing but errors.
struct IdentityProvider {
    url: String,
    set: Arc<Mutex<Option<Value>>>,
    _task: AbortOnDropHandle<()>,
}

impl IdentityProvider {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let set = Arc::<Mutex<Option<Value>>>::default();
        let router = Router::new()
            .route("/keys", get(published))
            .with_state(set.clone());
        let serving = async { axum::serve(listener, router).await.unwrap() };
        let _task = AbortOnDropHandle::new(tokio::spawn(serving));
        Self { url, set, _task }
    }

    fn publish(&self, keys: Option<&[&Signer]>) {
        let set = keys.map(|keys| keys.iter().map(|key| key.jwk()).collect::<Vec<_>>());
        *self.set.lock().unwrap() = set.map(|keys| json!({ "keys": keys }));
    }

    fn is_asked_by(&self, config: &mut Config) {
        let auth = &mut config.auth;
        auth.jwks_url = Some(self.url.parse().unwrap());
        auth.issuer = Some(ISSUER.to_owned());
        auth.jwks_refresh = Duration::from_secs(1);
        auth.jwks_pause = Duration::from_millis(100);
        auth.jwks_keep = Duration::from_secs(1);
    }
}

async fn published(
    State(set): State<Arc<Mutex<Option<Value>>>>,
) -> Result<Json<Value>, StatusCode> {
    let set = set.lock().unwrap().clone();
    set.map(Json).ok_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A key of the identity provider.
struct Signer {
    id: &'static str,
    pair: Ed25519KeyPair,
}

impl Signer {
    fn new(id: &'static str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        Self { id, pair }
    }

    fn jwk(&self) -> Value {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": x })
    }

    /// Of user 7, made as RFC 7515 says.
    fn token(&self) -> String {
        let encoded = |part: Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let header = encoded(json!({ "alg": "EdDSA", "kid": self.id }));
        let claims = encoded(json!({
            "sub": "7", "scope": "generation.user", "iss": ISSUER, "aud": "atelier", "exp": 4_000_000_000_i64,
        }));
        let signed = format!("{header}.{claims}");
        let signature = self.pair.sign(signed.as_bytes());
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref());
        format!("{signed}.{signature}")
    }
}
