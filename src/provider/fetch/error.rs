//! Why there is no file, for users and for operators.

use std::io::ErrorKind;

use reqwest::StatusCode;
use url::Url;

use crate::{
    domain::{has_cause, with_causes},
    provider::ProviderError,
};

use super::{MAX_REDIRECTS, guard::NonePermitted};

/// A link that no file was got by. It names the host only: the rest of a link may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the link to {host} {why}")]
pub struct FetchError {
    /// The last one that was asked.
    pub host: String,
    /// In words that follow the link.
    pub why: Unfetched,
    /// The client's words, for operators; may be empty.
    pub detail: String,
}

/// What is in the way of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfetched {
    /// Of another scheme, with a user or a password, or from https to http.
    #[error("is not a plain http or https link")]
    NotPlain,
    /// By the rules for addresses.
    #[error("leads to an address that this server does not fetch from")]
    Forbidden,
    /// Nobody answers.
    #[error("cannot be reached")]
    Unreachable,
    /// It is not there, or not any more.
    #[error("has expired or leads to nothing (status {0})")]
    Gone(u16),
    /// The host does not give it.
    #[error("is refused by its host (status {0})")]
    Refused(u16),
    /// The host does not give it now.
    #[error("is not served by its host right now (status {0})")]
    Busy(u16),
    /// Too often.
    #[error("is redirected more than {MAX_REDIRECTS} times")]
    Redirected,
    /// With the limit.
    #[error("leads to more than {0} bytes")]
    TooLarge(u64),
    /// Its bytes are of no type that is asked for.
    #[error("leads to no media of the type that is needed")]
    OtherType,
    /// It, or its next bytes, did not come in time.
    #[error("takes too long to answer")]
    TimedOut,
    /// Fewer bytes came than were announced.
    #[error("broke off before all of it was there")]
    Broken,
    /// This machine cannot write it.
    #[error("cannot be kept by this server ({0})")]
    Unkept(ErrorKind),
}

impl Unfetched {
    /// Whether another try may get the file.
    pub fn is_passing(self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::Busy(_) | Self::TimedOut | Self::Broken | Self::Unkept(_)
        )
    }

    /// What a status that brings no file means.
    pub(super) fn of_status(status: StatusCode) -> Option<Self> {
        match status.as_u16() {
            200..=299 => None,
            code @ (401 | 403 | 404 | 410) => Some(Self::Gone(code)),
            code @ (408 | 425 | 429 | 500..=599) => Some(Self::Busy(code)),
            code => Some(Self::Refused(code)),
        }
    }
}

impl FetchError {
    pub(super) fn new(url: &Url, why: Unfetched) -> Self {
        Self {
            host: url.host_str().unwrap_or("no host").to_owned(),
            why,
            detail: String::new(),
        }
    }

    pub(super) fn of_client(url: &Url, error: reqwest::Error) -> Self {
        let error = error.without_url();
        let why = if has_cause(&error, |_: &NonePermitted| true) {
            Unfetched::Forbidden
        } else if error.is_timeout() {
            Unfetched::TimedOut
        } else if error.is_connect() {
            Unfetched::Unreachable
        } else {
            Unfetched::Broken
        };
        Self {
            detail: with_causes(&error),
            ..Self::new(url, why)
        }
    }
}

/// What it means for work that is done and paid for, which must not be done again for a file that will not come.
impl From<FetchError> for ProviderError {
    fn from(error: FetchError) -> Self {
        let detail = format!("{error} {}", error.detail);
        match error.why {
            Unfetched::TooLarge(_) => Self::LimitExceeded(detail),
            _ => Self::Failed(detail),
        }
    }
}
