//! Pictures that come with a call for a request. They are kept with it as what a link leads to is, by a link that leads nowhere
//! else.

use bytes::Bytes;
use codec::{Format, Kind, sniff};

use crate::domain::sha256_hex;

use super::{StorageKey, without_clip};

/// A name that nobody can have (RFC 6761).
const PLACE: &str = "https://uploads.invalid/";

/// A picture that comes with a call.
#[derive(Clone, Debug)]
pub struct Upload {
    /// What stands for it in a request: the same for the same picture.
    pub link: String,
    /// The file.
    pub content: Bytes,
    format: Format,
}

impl Upload {
    /// `None` for what is no picture by its first bytes.
    pub fn of(content: Bytes) -> Option<Self> {
        let (content, _) = without_clip(content);
        let format = sniff(&content).filter(|format| format.kind() == Kind::Image)?;
        let link = format!("{PLACE}{}.{}", sha256_hex(&content), format.as_str());
        Some(Self {
            link,
            content,
            format,
        })
    }

    /// Whether an upload is what the link of a request stands for.
    pub fn is_link(link: &str) -> bool {
        link.starts_with(PLACE)
    }

    /// Where it stands once it came with this request.
    pub fn key(&self, request_id: i64) -> StorageKey {
        StorageKey::for_input(request_id, &self.link, self.format)
    }
}
