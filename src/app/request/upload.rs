//! Pictures that come with a call for a request. They are kept with it as what a link leads to is, by a link that leads nowhere
//! else.

use bytes::Bytes;
use codec::{Format, Kind, sniff};

use crate::{
    app::App,
    domain::{Error, sha256_hex},
    media::StorageKey,
};

/// A name that nobody can have (RFC 6761).
const PLACE: &str = "https://uploads.invalid/";

/// A picture that comes with a call.
#[derive(Clone, Debug)]
pub struct Upload {
    /// What stands for it in a request: the same for the same picture.
    pub link: String,
    content: Bytes,
    format: Format,
}

impl Upload {
    /// `None` for what is no picture by its first bytes.
    pub fn of(content: Bytes) -> Option<Self> {
        let format = sniff(&content).filter(|format| format.kind() == Kind::Image)?;
        let link = format!("{PLACE}{}.{}", sha256_hex(&content), format.as_str());
        Some(Self {
            link,
            content,
            format,
        })
    }
}

pub(super) fn is_upload(link: &str) -> bool {
    link.starts_with(PLACE)
}

impl App {
    /// Keeps pictures with a request that is there for nobody yet, so that its jobs find them.
    pub(super) async fn keep(&self, request_id: i64, uploads: &[Upload]) -> Result<(), Error> {
        for upload in uploads {
            let key = StorageKey::for_input(request_id, &upload.link, upload.format);
            self.storage.put(&key, upload.content.clone(), None).await?;
        }
        Ok(())
    }
}
