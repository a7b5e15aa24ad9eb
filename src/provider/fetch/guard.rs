//! Resolves names to addresses that may be reached. What it answers is what is connected to, so that a name cannot mean
//! another address a moment later.

use std::{io, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::domain::AddressRules;

/// Who knows the addresses of names.
#[async_trait]
pub trait Lookup: Send + Sync + 'static {
    /// The addresses of this name, as it is now.
    async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>>;
}

/// The system.
pub(super) struct System;

#[async_trait]
impl Lookup for System {
    async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
    }
}

pub(super) struct Guard {
    pub(super) rules: Arc<AddressRules>,
    pub(super) lookup: Arc<dyn Lookup>,
}

/// The name has addresses, and none that may be reached.
#[derive(Debug, thiserror::Error)]
#[error("no address that may be fetched from")]
pub(super) struct NonePermitted;

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, lookup) = (self.rules.clone(), self.lookup.clone());
        Box::pin(async move {
            let found = lookup.addresses(name.as_str()).await?;
            let permitted = found
                .into_iter()
                .filter(|at| rules.permit(name.as_str(), at.ip()));
            let permitted: Vec<SocketAddr> = permitted.collect();
            match permitted.is_empty() {
                true => Err(NonePermitted.into()),
                false => Ok(Box::new(permitted.into_iter()) as Addrs),
            }
        })
    }
}
