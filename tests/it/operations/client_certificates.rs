//! Certificates of clients: which service calls is shown by the connection, where a call has no token.

use std::path::PathBuf;
use std::time::Duration;

use atelier::app::Clock;
use atelier::client::Client;
use atelier::config::Config;
use atelier::rpc::proto::{
    CreateRequestRequest, DeleteFeatureRequest, ErrorReason, ListAuditEntriesRequest,
    ListFeaturesRequest, ListRequestsRequest, WatchUserRequest,
    feature_service_client::FeatureServiceClient,
};
use atelier::server::{Role, Server};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
    date_time_ymd,
};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use tempfile::TempDir;
use tonic::Code;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::support::client::{request_for, scripted_feature};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::http;
use crate::support::identity::{asks, by, token};
use crate::support::process::{atelier, run};
use crate::support::refusal::refusal;
use crate::support::server::{configuration, within};

use super::tls::{Issued, Issuer, replace};

/// Who issues certificates for clients.
struct Authority {
    issuer: rcgen::Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in PEM.
struct Held(String, String);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: rcgen::Issuer::new(params, key),
            pem,
        }
    }

    fn issue(&self, san: &str) -> Held {
        self.issue_with(san, |_| ())
    }

    fn issue_with(&self, san: &str, change: impl FnOnce(&mut CertificateParams)) -> Held {
        let mut params = CertificateParams::default();
        let name = san.try_into().unwrap();
        params.subject_alt_names = vec![match san.contains("://") {
            true => SanType::URI(name),
            false => SanType::DnsName(name),
        }];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Held(certificate.pem(), key.serialize_pem())
    }
}

/// A server that takes certificates of an authority.
struct Site {
    server: Server,
    issued: Issued,
    authority: Authority,
    files: TempDir,
    _issuer: Issuer,
}

impl Site {
    async fn start(db: &TestDatabase, change: impl FnOnce(&mut Config)) -> Self {
        let (issuer, authority) = (Issuer::new(), Authority::new());
        let issued = issuer.issue();
        let files = tempfile::tempdir().unwrap();
        replace(&files.path().join("ca.pem"), &authority.pem);
        let mut config = configuration(db, db.media.path());
        config.tls.certificate = Some(issuer.certificate());
        config.tls.key = Some(issuer.key());
        config.tls.client_ca = Some(files.path().join("ca.pem"));
        config.tls.reload_interval = Duration::from_millis(100);
        let rules = [
            "shop.internal=service:shop",
            "spiffe://example.org/ops=admin:ops",
        ];
        config.auth.certificates = rules.map(|rule| rule.parse().unwrap()).to_vec();
        change(&mut config);
        let server = Server::start(config, Role::All).await.unwrap();
        Self {
            server,
            issued,
            authority,
            files,
            _issuer: issuer,
        }
    }

    fn client_ca(&self) -> PathBuf {
        self.files.path().join("ca.pem")
    }

    /// A client that shows this.
    fn client(&self, held: Option<&Held>) -> Client {
        let builder = Client::builder(&self.server.url().unwrap());
        let builder = builder.ca_certificate(self.issued.pem.clone());
        let builder = match held {
            Some(Held(pem, key)) => builder.certificate(pem.clone(), key.clone()),
            None => builder,
        };
        builder.connect_lazy().unwrap()
    }

    /// What comes of one call with this, over a connection of its own and without a second try.
    async fn call(&self, Held(pem, key): &Held) -> Result<(), tonic::Status> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.issued.pem))
            .identity(Identity::from_pem(pem, key));
        let endpoint = Endpoint::from_shared(self.server.url().unwrap()).unwrap();
        let channel = endpoint.tls_config(tls).unwrap().connect_lazy();
        let mut features = FeatureServiceClient::new(channel);
        let listed = within(features.list_features(ListFeaturesRequest::default()));
        listed.await.map(|_| ())
    }
}

on_both_databases! {
    async fn a_name_in_a_certificate_shows_which_service_or_admin_calls(db: TestDatabase) {
        let site = Site::start(&db, asks).await;
        let shop = site.client(Some(&site.authority.issue("Shop.internal")));
        let ops = site.client(Some(&site.authority.issue("spiffe://example.org/ops")));
        let denied = refusal(within(shop.features().create_feature(scripted_feature("a"))).await);
        denied.is(Code::PermissionDenied, ErrorReason::PermissionDenied);
        let feature = within(ops.features().create_feature(scripted_feature("a"))).await.unwrap().into_inner().feature.unwrap();
        let audited = ops.admin().list_audit_entries(ListAuditEntriesRequest::default()).await.unwrap().into_inner().entries;
        assert_eq!((audited.len(), audited[0].actor.as_str(), audited[0].credential.as_str()), (1, "admin:ops", "certificate"));

        // The same client by a token of that name, on a connection without a certificate.
        let asked = CreateRequestRequest { idempotency_key: "once".to_owned(), ..request_for(feature.id) };
        let made = shop.requests().create_request(asked.clone()).await.unwrap().into_inner().request.unwrap();
        let bare = site.client(None);
        let again = bare.requests().create_request(by(&token("service", "shop"), asked.clone())).await.unwrap().into_inner().request.unwrap();
        assert_eq!(made.id, again.id);
        let other = bare.requests().create_request(by(&token("service", "press"), asked)).await.unwrap().into_inner().request.unwrap();
        assert_ne!(made.id, other.id);
    }

    async fn who_has_no_certificate_shows_a_token_and_a_token_goes_before_a_certificate(db: TestDatabase) {
        let site = Site::start(&db, asks).await;
        let (shop, bare) = (site.client(Some(&site.authority.issue("shop.internal"))), site.client(None));
        let list = async |client: &Client, token: Option<&str>| {
            let asked = ListRequestsRequest { user_id: 8, ..Default::default() };
            let call = token.map_or_else(|| tonic::Request::new(asked.clone()), |token| by(token, asked.clone()));
            within(client.requests().list_requests(call)).await
        };
        list(&shop, None).await.unwrap();
        list(&bare, Some(&token("service", "press"))).await.unwrap();
        list(&bare, Some(&token("user", "8"))).await.unwrap();
        refusal(list(&bare, None).await).is(Code::Unauthenticated, ErrorReason::CredentialsMissing);
        refusal(list(&shop, Some(&token("user", "7"))).await).is(Code::PermissionDenied, ErrorReason::PermissionDenied);
        refusal(list(&shop, Some("nonsense")).await).is(Code::Unauthenticated, ErrorReason::CredentialsInvalid);
    }

    async fn certificates_alone_are_enough_to_ask_who_calls(db: TestDatabase) {
        let site = Site::start(&db, |_| ()).await;
        site.call(&site.authority.issue("shop.internal")).await.unwrap();
        let stranger = refusal(site.call(&site.authority.issue("other.internal")).await);
        stranger.is(Code::Unauthenticated, ErrorReason::CredentialsInvalid);
        let bare = within(site.client(None).features().list_features(ListFeaturesRequest::default())).await;
        refusal(bare).is(Code::Unauthenticated, ErrorReason::CredentialsMissing);
        let token = by(&token("admin", "ops"), DeleteFeatureRequest::default());
        let refused = within(site.client(Some(&site.authority.issue("shop.internal"))).features().delete_feature(token)).await;
        assert!(refused.as_ref().unwrap_err().message().contains("only certificates"), "{refused:?}");
        refusal(refused).is(Code::Unauthenticated, ErrorReason::CredentialsInvalid);
    }

    async fn calls_over_http_1_are_the_certificate_s_too_and_probes_need_none(db: TestDatabase) {
        let site = Site::start(&db, |config| config.front.enabled = true).await;
        let Held(pem, key) = site.authority.issue("shop.internal");
        let browser = |held: Option<&str>| {
            let builder = http::client().no_proxy().http1_only();
            let server = reqwest::Certificate::from_pem(site.issued.pem.as_bytes()).unwrap();
            let builder = builder.tls_certs_only([server]);
            let builder = match held {
                Some(held) => builder.identity(reqwest::Identity::from_pem(held.as_bytes()).unwrap()),
                None => builder,
            };
            builder.build().unwrap()
        };
        let (shop, bare) = (browser(Some(&format!("{pem}{key}"))), browser(None));
        let url = site.server.url().unwrap();
        let web = async |client: &reqwest::Client| {
            let call = client.post(format!("{url}/generation.v1.FeatureService/ListFeatures"));
            let call = call.header(CONTENT_TYPE, "application/grpc-web+proto").body(vec![0; 5]);
            let answer = within(call.send()).await.unwrap();
            answer.headers().get("grpc-status").map_or("0".to_owned(), |status| status.to_str().unwrap().to_owned())
        };
        let get = async |client: &reqwest::Client, path: &str| within(client.get(format!("{url}{path}")).send()).await.unwrap().status();
        assert_eq!((web(&shop).await.as_str(), web(&bare).await.as_str()), ("0", "16"));
        assert_eq!((get(&shop, "/v1/models").await, get(&bare, "/v1/models").await), (StatusCode::OK, StatusCode::UNAUTHORIZED));
        assert_eq!(get(&bare, "/livez").await, StatusCode::OK);
    }

    async fn a_certificate_that_does_not_hold_makes_no_connection(db: TestDatabase) {
        let site = Site::start(&db, asks).await;
        site.call(&site.authority.issue("shop.internal")).await.unwrap();
        let foreign = Authority::new().issue("shop.internal");
        let over = site.authority.issue_with("shop.internal", |params| params.not_after = date_time_ymd(2020, 1, 1));
        let early = site.authority.issue_with("shop.internal", |params| params.not_before = date_time_ymd(3000, 1, 1));
        let of_servers = site.authority.issue_with("shop.internal", |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        for (what, held) in [("foreign", foreign), ("over", over), ("early", early), ("of servers", of_servers)] {
            let status = site.call(&held).await.expect_err(what);
            // Of the connection: no server has said it.
            assert!(status.details().is_empty() && status.code() != Code::Unauthenticated, "{what}: {status:?}");
        }
    }

    async fn authorities_that_cannot_be_used_are_told_with_their_setting(db: TestDatabase) {
        let (issuer, files) = (Issuer::new(), tempfile::tempdir().unwrap());
        issuer.issue();
        let client_ca = files.path().join("ca.pem");
        let start = async || {
            let settings = [
                format!("tls.certificate={}", issuer.certificate().display()),
                format!("tls.key={}", issuer.key().display()),
                format!("tls.client_ca={}", client_ca.display()),
                r#"auth.certificates=["shop.internal=service:shop"]"#.to_owned(),
            ];
            let mut command = atelier(&db, &["serve", "--listen", "127.0.0.1:0"]);
            for setting in &settings {
                command.args(["--set", setting]);
            }
            let output = run(command).await;
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{told}");
            told
        };
        let told = start().await;
        assert!(told.contains("tls.client_ca: cannot read"), "{told}");
        std::fs::write(&client_ca, "nobody").unwrap();
        let told = start().await;
        assert!(told.contains("tls.client_ca: ") && told.contains("must be a PEM file with a certificate"), "{told}");
        std::fs::write(&client_ca, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        let told = start().await;
        assert!(told.contains("tls.client_ca: ") && told.contains("cannot be used"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_with_its_certificate_and_with_the_authority_of_it() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let site = Site::start(&db, asks).await;
    let lasting = site.authority.issue("shop.internal");
    let now = Clock::system().now().timestamp();
    let now = Duration::from_secs(now.try_into().unwrap());
    let brief = site.authority.issue_with("shop.internal", |params| {
        params.not_after = date_time_ymd(1970, 1, 1) + now + Duration::from_secs(8);
    });
    let watch = async |held: &Held| {
        let asked = WatchUserRequest {
            user_id: 7,
            ..Default::default()
        };
        let watched = within(site.client(Some(held)).requests().watch_user(asked)).await;
        watched.unwrap().into_inner()
    };
    let (mut brief_watch, mut lasting_watch) = (watch(&brief).await, watch(&lasting).await);
    within(async { while let Ok(Some(_)) = brief_watch.message().await {} }).await;
    site.call(&brief).await.unwrap_err();
    site.call(&lasting).await.unwrap();

    let next = Authority::new();
    replace(&site.client_ca(), &next.pem);
    within(async { while let Ok(Some(_)) = lasting_watch.message().await {} }).await;
    site.call(&lasting).await.unwrap_err();
    site.call(&next.issue("shop.internal")).await.unwrap();
}
