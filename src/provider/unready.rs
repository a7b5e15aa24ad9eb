//! Why a provider cannot work here: what everybody may know of it, and what only operators may.

use std::fmt;

/// Why a provider cannot work for this server. Its `Display` is for operators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Unready {
    /// What it lacks.
    pub lack: Lack,
    /// The same with names of programs, paths and hosts, and in the service's own words.
    pub detail: String,
}

/// What a provider lacks. Its `Display` is for everybody, and follows "cannot run here:".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The program that it runs.
    Program,
    /// What its configuration names or should name.
    Configuration,
    /// The service does not accept its credentials.
    Credentials,
    /// The service is not paid any more.
    Credit,
    /// The service says that it is not ready.
    Service,
}

impl Unready {
    /// Without the program that this tells of.
    pub(super) fn program(detail: String) -> Self {
        let lack = Lack::Program;
        Self { lack, detail }
    }

    /// With a configuration of which this is wrong.
    pub(super) fn configuration(detail: impl Into<String>) -> Self {
        Self {
            lack: Lack::Configuration,
            detail: detail.into(),
        }
    }
}

impl Lack {
    /// Whether the service itself has told it.
    pub fn is_told_by_service(self) -> bool {
        match self {
            Self::Credentials | Self::Credit | Self::Service => true,
            Self::Program | Self::Configuration => false,
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Program => "its program is not installed",
            Self::Configuration => "its configuration is wrong",
            Self::Credentials => "its credentials are not accepted",
            Self::Credit => "its account has no credit left",
            Self::Service => "its service is not ready",
        })
    }
}
