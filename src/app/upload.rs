//! Files that users give for their requests to work from, see docs/uploads.md.

mod complete;
mod delete;
mod keep;
pub(super) mod link;
mod receive;
mod receiving;
mod tidy;

use std::time::Duration;

use crate::{domain::UploadLimits, media::Limits};

pub use receive::Incoming;
pub use receiving::Receiving;

/// What users may give, and what becomes of it.
#[derive(Clone, Debug)]
pub struct UploadSettings {
    /// How much they may give.
    pub limits: UploadLimits,
    /// What reading a file may cost.
    pub reading: Limits,
    /// Whether files keep the place where they were taken.
    pub keeps_location: bool,
    /// How long a file is kept that nothing uses.
    pub idle: Duration,
    /// How long a URL works that a file is put to.
    pub url_ttl: Duration,
}
