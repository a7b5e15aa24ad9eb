//! Resolves names to addresses that may be reached. What it answers is what is connected to, so that a name cannot mean
//! another address a moment later.

use std::{net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::domain::AddressRules;

pub(super) struct Guard(pub(super) Arc<AddressRules>);

/// The name has addresses, and none that may be reached.
#[derive(Debug, thiserror::Error)]
#[error("no address that may be fetched from")]
pub(super) struct NonePermitted;

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let permitted = found.filter(|at| rules.permit(name.as_str(), at.ip()));
            let permitted: Vec<SocketAddr> = permitted.collect();
            match permitted.is_empty() {
                true => Err(NonePermitted.into()),
                false => Ok(Box::new(permitted.into_iter()) as Addrs),
            }
        })
    }
}
