//! TLS of the clients' port. Its certificate may be replaced while the server runs.

use std::{
    convert::Infallible,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer, UnixTime,
        pem::{self, PemObject},
    },
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use sha2::{Digest, Sha256};
use tokio::{net::TcpStream, sync::watch, task::spawn_blocking, time};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::certificate::PeerCertificate;
use crate::domain::with_causes;

/// How long a peer may take to agree on keys.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How often it is looked at whether the certificate of a connection's peer still holds.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// What is spoken within, as clients ask for it (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where a certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// PEM file of the certificate and of those that lead to its root.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
    /// PEM file of the authorities that issue certificates for clients, who are asked for theirs then, and need none.
    pub client_ca: Option<PathBuf>,
    /// How often the files are looked at.
    pub reload_interval: Duration,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{setting}: cannot read {}", path.display())]
    Read {
        /// What names the file.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{setting}: {} must be a PEM file with {expected}", path.display())]
    Pem {
        /// What names the file.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What is wrong, if it holds anything.
        source: Option<pem::Error>,
    },
    /// The certificate and the key do not make a pair, or are of a kind that is not supported.
    #[error("tls.certificate and tls.key cannot be used together")]
    Pair(#[source] rustls::Error),
    /// One of the authorities of clients is of a kind that is not supported.
    #[error("tls.client_ca: {} cannot be used", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A certificate in use, which a look at its files may replace. Clones share it.
#[derive(Clone, Debug)]
pub struct Tls {
    settings: TlsSettings,
    used: watch::Sender<Used>,
}

#[derive(Clone, Debug)]
struct Used {
    config: Arc<ServerConfig>,
    /// What verifies the certificates of clients.
    clients: Option<Arc<dyn ClientCertVerifier>>,
    /// Of the files.
    digest: [u8; 32],
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When they cannot be read, or cannot be used together.
    pub fn load(settings: TlsSettings) -> Result<Self, TlsError> {
        let files = Files::read(&settings)?;
        let used = watch::Sender::new(files.used(&settings)?);
        Ok(Self { settings, used })
    }

    /// Agrees on keys with who has connected, and returns what he has shown of himself.
    pub(super) async fn accept(
        &self,
        io: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<PeerCertificate>)> {
        let config = self.used.borrow().config.clone();
        let accepted = TlsAcceptor::from(config).accept(io);
        let io = time::timeout(HANDSHAKE_TIME, accepted).await??;
        let certificate = PeerCertificate::of(io.get_ref().1);
        Ok((io, certificate))
    }

    /// Comes when the certificate of a peer does not hold any more, and says why: it has expired, or its authority is none
    /// now. A session that is taken up again may begin so.
    pub(super) async fn end_of(&self, certificate: Option<&PeerCertificate>) -> rustls::Error {
        let Some(certificate) = certificate else {
            return std::future::pending().await;
        };
        loop {
            if let Err(end) = self.verify(certificate) {
                return end;
            }
            time::sleep(LOOK_AGAIN).await;
        }
    }

    fn verify(&self, certificate: &PeerCertificate) -> Result<(), rustls::Error> {
        let clients = self.used.borrow().clients.clone();
        let (Some(clients), Some((own, others))) = (clients, certificate.chain().split_first())
        else {
            return Err(rustls::Error::NoCertificatesPresented);
        };
        let verified = clients.verify_client_cert(own, others, UnixTime::now());
        verified.map(|_| ())
    }

    /// Takes up a certificate that has been replaced. One that cannot be used is told once, and the one before stays in use.
    pub(super) async fn keep_fresh(&self) -> Infallible {
        let mut refused = None;
        loop {
            time::sleep(self.settings.reload_interval).await;
            let tls = self.clone();
            let looked = spawn_blocking(move || tls.look()).await;
            let told = match looked {
                Ok(Ok(false)) => None,
                Ok(Ok(true)) => {
                    tracing::info!("the certificate was replaced");
                    None
                }
                Ok(Err(error)) => Some(with_causes(&error)),
                Err(panic) => Some(panic.to_string()),
            };
            if let Some(error) = told.as_ref().filter(|_| told != refused) {
                tracing::error!(error, "the certificate cannot be replaced");
            }
            refused = told;
        }
    }

    /// Whether there is another certificate now.
    fn look(&self) -> Result<bool, TlsError> {
        let files = Files::read(&self.settings)?;
        if files.digest() == self.used.borrow().digest {
            return Ok(false);
        }
        self.used.send_replace(files.used(&self.settings)?);
        Ok(true)
    }
}

/// What the files hold.
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Files {
    fn read(settings: &TlsSettings) -> Result<Self, TlsError> {
        let read = |setting, path: &PathBuf| {
            fs::read(path).map_err(|source| TlsError::Read {
                setting,
                path: path.clone(),
                source,
            })
        };
        let client_ca = settings.client_ca.as_ref();
        Ok(Self {
            certificate: read("tls.certificate", &settings.certificate)?,
            key: read("tls.key", &settings.key)?,
            client_ca: client_ca
                .map(|path| read("tls.client_ca", path))
                .transpose()?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let files = [
            Some(&self.certificate),
            Some(&self.key),
            self.client_ca.as_ref(),
        ];
        for file in files.into_iter().flatten() {
            digest.update((file.len() as u64).to_be_bytes());
            digest.update(file);
        }
        digest.finalize().into()
    }

    fn used(&self, settings: &TlsSettings) -> Result<Used, TlsError> {
        let chain = certificates(&self.certificate, "tls.certificate", &settings.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| TlsError::Pem {
            setting: "tls.key",
            path: settings.key.clone(),
            expected: "a private key",
            source: Some(error),
        })?;
        let clients = self.client_ca.as_ref().zip(settings.client_ca.as_ref());
        let clients = clients.map(|(pem, path)| verifier(pem, path)).transpose()?;
        let config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Pair)?;
        let config = match &clients {
            Some(clients) => config.with_client_cert_verifier(clients.clone()),
            None => config.with_no_client_auth(),
        };
        let mut config = config
            .with_single_cert(chain, key)
            .map_err(TlsError::Pair)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Used {
            config: Arc::new(config),
            clients,
            digest: self.digest(),
        })
    }
}

/// What verifies certificates of clients by these authorities. Who has none is let in too: a token may show who he is.
fn verifier(pem: &[u8], path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = |source| TlsError::Authority {
        path: path.to_owned(),
        source,
    };
    let mut roots = RootCertStore::empty();
    for authority in certificates(pem, "tls.client_ca", path)? {
        let added = roots.add(authority);
        added.map_err(|error| unusable(error.into()))?;
    }
    let provider = ring::default_provider().into();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
    let verifier = verifier.allow_unauthenticated().build();
    verifier
        .map(|verifier| verifier as _)
        .map_err(|error| unusable(error.into()))
}

/// The certificates in a file, at least one.
fn certificates(
    pem: &[u8],
    setting: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let none = |source| TlsError::Pem {
        setting,
        path: path.to_owned(),
        expected: "a certificate",
        source,
    };
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| none(Some(error)))?;
    match found.is_empty() {
        true => Err(none(None)),
        false => Ok(found),
    }
}
