//! The certificate of a client, which an authority of `tls.client_ca` has issued.

use std::sync::Arc;

use rustls::{ServerConnection, pki_types::CertificateDer};
use webpki::EndEntityCert;

/// A certificate that a peer has shown, and that was verified. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct PeerCertificate(Arc<Shown>);

#[derive(Debug)]
struct Shown {
    /// The peer's own, and those that lead to its root.
    chain: Vec<CertificateDer<'static>>,
    names: Vec<String>,
}

impl PeerCertificate {
    /// That of a connection whose peer has shown one.
    pub(super) fn of(connection: &ServerConnection) -> Option<Self> {
        let chain = connection.peer_certificates()?;
        let own = EndEntityCert::try_from(chain.first()?).ok()?;
        let dns = own.valid_dns_names().map(str::to_ascii_lowercase);
        let uris = own.valid_uri_names().map(str::to_owned);
        Some(Self(Arc::new(Shown {
            names: dns.chain(uris).collect(),
            chain: chain.iter().map(|it| it.clone().into_owned()).collect(),
        })))
    }

    /// The peer's own, and those that lead to its root.
    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.chain
    }

    /// Its DNS names in lower case, and its URIs.
    pub(super) fn names(&self) -> &[String] {
        &self.0.names
    }
}
