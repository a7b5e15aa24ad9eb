//! URLs that a file can be put to.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::Storage;
use crate::media::backend::Backend;
use crate::media::error::StorageError;
use crate::media::key::StorageKey;
use crate::media::ticket::Ticket;

/// Where a file is put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutUrl {
    /// Signed.
    pub url: String,
    /// What the PUT must have.
    pub headers: BTreeMap<String, String>,
    /// Names what was put, for whoever completes it.
    pub token: String,
}

impl Storage {
    /// Where the file of a ticket is put: to this server, or to the bucket at once, in a place where nobody takes it for an upload
    /// before it was looked at.
    ///
    /// # Errors
    ///
    /// [`StorageError::Failed`] if the key or the credentials for signing cannot be had.
    pub async fn put_url(
        &self,
        ticket: &Ticket,
        now: DateTime<Utc>,
    ) -> Result<PutUrl, StorageError> {
        let unsigned = |reason: String| StorageError::Failed {
            action: "sign a URL for an upload".to_owned(),
            place: self.inner.place.clone(),
            reason,
        };
        let token = ticket.sign(self.keys());
        let token = token.ok_or_else(|| unsigned("the keys were not read yet".to_owned()))?;
        let content_type = ticket.format.content_type().to_owned();
        let mut headers = BTreeMap::from([("content-type".to_owned(), content_type)]);
        let size = ticket.announced.file_size.unwrap_or_default();
        headers.insert("content-length".to_owned(), size.to_string());
        let url = match &self.inner.backend {
            Backend::Folder(_) => {
                let base = self.inner.links.server_url.as_str();
                format!("{}/uploads/{token}", base.trim_end_matches('/'))
            }
            Backend::Bucket(bucket) => {
                let path = self.path(&incoming(ticket));
                let seconds = (ticket.expires_at - now).num_seconds().max(1);
                let signed = bucket.sign_put(&path, &headers, (now, seconds)).await;
                signed.map_err(|error| unsigned(error.to_string()))?
            }
        };
        Ok(PutUrl {
            url,
            headers,
            token,
        })
    }

    /// Where the file of a ticket is that was put to a bucket; `None` where files are put to this server.
    pub fn incoming_key(&self, ticket: &Ticket) -> Option<StorageKey> {
        match self.inner.backend {
            Backend::Folder(_) => None,
            Backend::Bucket(_) => Some(incoming(ticket)),
        }
    }
}

fn incoming(ticket: &Ticket) -> StorageKey {
    StorageKey::for_incoming(ticket.announced.user_id, ticket.id, ticket.format)
}
