//! TLS of the clients' port. Its certificate may be replaced while the server runs.

use std::{convert::Infallible, fs, io, path::PathBuf, sync::Arc, time::Duration};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use sha2::{Digest, Sha256};
use tokio::{net::TcpStream, sync::watch, task::spawn_blocking, time};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::domain::with_causes;

/// How long a peer may take to agree on keys.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// What is spoken within, as clients ask for it (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where a certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// PEM file of the certificate and of those that lead to its root.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
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

    /// Agrees on keys with who has connected.
    pub(super) async fn accept(&self, io: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = self.used.borrow().config.clone();
        time::timeout(HANDSHAKE_TIME, TlsAcceptor::from(config).accept(io)).await?
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
        Ok(Self {
            certificate: read("tls.certificate", &settings.certificate)?,
            key: read("tls.key", &settings.key)?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let digest = Sha256::new().chain_update((self.certificate.len() as u64).to_be_bytes());
        let digest = digest.chain_update(&self.certificate);
        digest.chain_update(&self.key).finalize().into()
    }

    fn used(&self, settings: &TlsSettings) -> Result<Used, TlsError> {
        let not_a_chain = |source| TlsError::Pem {
            setting: "tls.certificate",
            path: settings.certificate.clone(),
            expected: "a certificate",
            source,
        };
        let chain = CertificateDer::pem_slice_iter(&self.certificate);
        let chain: Result<Vec<_>, _> = chain.collect();
        let chain = chain.map_err(|error| not_a_chain(Some(error)))?;
        if chain.is_empty() {
            return Err(not_a_chain(None));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| TlsError::Pem {
            setting: "tls.key",
            path: settings.key.clone(),
            expected: "a private key",
            source: Some(error),
        })?;
        let config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Pair)?
            .with_no_client_auth();
        let mut config = config
            .with_single_cert(chain, key)
            .map_err(TlsError::Pair)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Used {
            config: Arc::new(config),
            digest: self.digest(),
        })
    }
}
