//! TLS on the clients' port: who speaks it, and a certificate that is replaced while the server runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atelier::client::{Client, ConnectError};
use atelier::rpc::proto::{ListFeaturesRequest, feature_service_client::FeatureServiceClient};
use atelier::server::{Role, Server};
use reqwest::{Certificate, StatusCode};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::http;
use crate::support::process::{Process, atelier, run};
use crate::support::server::{configuration, within};

/// Certificates of this machine, each its own authority, in the files that a server is told.
pub(super) struct Issuer(tempfile::TempDir);

impl Issuer {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.0.path().join("certificate.pem")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    fn settings(&self) -> [String; 3] {
        [
            format!("tls.certificate={}", self.certificate().display()),
            format!("tls.key={}", self.key().display()),
            "tls.reload_interval=100ms".to_owned(),
        ]
    }

    /// Puts a new one there.
    pub(super) fn issue(&self) -> Issued {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned).to_vec();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        replace(&self.key(), &made.signing_key.serialize_pem());
        replace(&self.certificate(), &made.cert.pem());
        Issued {
            pem: made.cert.pem(),
            der: made.cert.der().clone(),
        }
    }
}

/// As one who renews certificates does, so that nobody reads half a file.
pub(super) fn replace(file: &Path, content: &str) {
    let new = file.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, file).unwrap();
}

pub(super) struct Issued {
    pub(super) pem: String,
    der: CertificateDer<'static>,
}

/// A connection that believes these.
async fn connect(address: &str, believed: &[&Issued], protocol: &[u8]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    for issued in believed {
        roots.add(issued.der.clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let io = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    within(connector.connect(name, io)).await.unwrap()
}

/// Whose certificate a new connection is shown.
async fn shown(address: &str, believed: &[&Issued]) -> CertificateDer<'static> {
    let connection = connect(address, believed, b"h2").await;
    connection.get_ref().1.peer_certificates().unwrap()[0].clone()
}

on_both_databases! {
    async fn clients_of_every_protocol_speak_to_the_server_through_tls(db: TestDatabase) {
        let (issuer, media) = (Issuer::new(), tempfile::tempdir().unwrap());
        let issued = issuer.issue();
        let mut config = configuration(&db, media.path());
        config.tls.certificate = Some(issuer.certificate());
        config.tls.key = Some(issuer.key());
        let server = Server::start(config, Role::All).await.unwrap();
        let url = server.url().unwrap();
        assert!(url.starts_with("https://127.0.0.1:"), "{url}");

        let client = Client::builder(&url).ca_certificate(issued.pem.clone()).connect().await.unwrap();
        client.features().list_features(ListFeaturesRequest::default()).await.unwrap();

        let trusting = http::client().no_proxy();
        let trusting = trusting.tls_certs_only([Certificate::from_pem(issued.pem.as_bytes()).unwrap()]);
        let answer = within(trusting.build().unwrap().get(format!("{url}/readyz")).send()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);

        let address = url.strip_prefix("https://").unwrap();
        for protocol in [&b"h2"[..], b"http/1.1"] {
            let connection = connect(address, &[&issued], protocol).await;
            let (_, session) = connection.get_ref();
            assert_eq!(session.alpn_protocol(), Some(protocol));
            assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        }

        // Nobody is told anything who does not know the certificate, or does not speak TLS.
        let stranger = Issuer::new().issue();
        let unknown = Client::builder(&url).ca_certificate(stranger.pem).connect().await;
        assert!(matches!(unknown, Err(ConnectError::Connect { .. })));
        let plain = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        let mut plain = FeatureServiceClient::new(plain);
        within(plain.list_features(ListFeaturesRequest::default())).await.unwrap_err();
        within(server.shutdown()).await;
    }

    async fn a_certificate_is_replaced_without_a_restart_and_a_broken_one_is_not_taken(db: TestDatabase) {
        let (issuer, media) = (Issuer::new(), tempfile::tempdir().unwrap());
        let first = issuer.issue();
        let settings = issuer.settings();
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let process = Process::serve(&db, media.path(), &settings).await;
        let open = connect(process.address(), &[&first], b"h2").await;
        assert_eq!(shown(process.address(), &[&first]).await, first.der);

        fs::write(issuer.certificate(), "nonsense").unwrap();
        process.until_logged("the certificate cannot be replaced").await;
        assert_eq!(shown(process.address(), &[&first]).await, first.der);

        let second = issuer.issue();
        process.until_logged("the certificate was replaced").await;
        assert_eq!(shown(process.address(), &[&first, &second]).await, second.der);
        // A half that does not belong to the other.
        replace(&issuer.key(), &rcgen::KeyPair::generate().unwrap().serialize_pem());
        process.until_logged("cannot be used together").await;
        assert_eq!(shown(process.address(), &[&first, &second]).await, second.der);
        // Who was connected, is.
        let mut client = tonic_connection(open).await;
        client.list_features(ListFeaturesRequest::default()).await.unwrap();
        let log = process.log();
        assert!(!log.contains("BEGIN"), "{log}");
    }

    async fn a_certificate_that_cannot_be_used_is_told_with_its_setting(db: TestDatabase) {
        let issuer = Issuer::new();
        let [certificate, key, _] = issuer.settings();
        let start = async |settings: &[&String]| {
            let mut command = atelier(&db, &["serve", "--listen", "127.0.0.1:0"]);
            for setting in settings {
                command.args(["--set", setting]);
            }
            let output = run(command).await;
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{told}");
            told
        };
        let told = start(&[&certificate, &key]).await;
        assert!(told.contains("tls.certificate: cannot read"), "{told}");
        issuer.issue();
        fs::write(issuer.key(), "nothing").unwrap();
        let told = start(&[&certificate, &key]).await;
        assert!(told.contains("tls.key: ") && told.contains("must be a PEM file with a private key"), "{told}");
        fs::write(issuer.certificate(), "").unwrap();
        let told = start(&[&certificate, &key]).await;
        assert!(told.contains("tls.certificate: ") && told.contains("must be a PEM file with a certificate"), "{told}");
        let told = start(&[&certificate]).await;
        assert!(told.contains("a certificate and its key are set together or not at all"), "{told}");
    }
}

#[tokio::test]
async fn who_never_ends_the_handshake_is_given_up() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let (issuer, media) = (Issuer::new(), tempfile::tempdir().unwrap());
    issuer.issue();
    let mut config = configuration(&db, media.path());
    config.tls.certificate = Some(issuer.certificate());
    config.tls.key = Some(issuer.key());
    let server = Server::start(config, Role::All).await.unwrap();
    let mut silent = TcpStream::connect(server.local_addr().unwrap())
        .await
        .unwrap();
    let mut nothing = [0];
    let read = tokio::io::AsyncReadExt::read(&mut silent, &mut nothing);
    // Its time is 10 s.
    let ended = tokio::time::timeout(Duration::from_secs(20), read).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
}

/// The stub over a connection that is open.
async fn tonic_connection(
    io: TlsStream<TcpStream>,
) -> FeatureServiceClient<tonic::transport::Channel> {
    let io = std::sync::Mutex::new(Some(hyper_util::rt::TokioIo::new(io)));
    let connector = tower::service_fn(move |_| {
        let io = io.lock().unwrap().take();
        async move { io.ok_or_else(|| std::io::Error::other("the connection was lost")) }
    });
    let endpoint = tonic::transport::Endpoint::from_static("http://localhost");
    let channel = endpoint.connect_with_connector(connector).await.unwrap();
    FeatureServiceClient::new(channel)
}
