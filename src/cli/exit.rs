//! How the program ends: every exit code is decided here.

use std::error::Error;
use std::iter::successors;
use std::process::ExitCode;

use super::generate::GenerateError;
use crate::client::ConnectError;
use crate::config::Problems;
use crate::media::StorageError;
use crate::server::StartError;

/// The command line or the configuration is wrong; clap ends with the same.
const MISUSED: u8 = 2;
/// `migrate status` while migrations are pending.
pub(super) const PENDING: u8 = 3;

pub(super) const HELP: &str = "\
Exit codes:
  0  done
  1  failed, or not ready
  2  wrong command line or configuration
  3  migrate status: migrations are pending
  130, 143  ended by SIGINT or SIGTERM before it was done";

/// A command line that is well formed and asks for what cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Misuse(pub &'static str);

/// Done, or failed.
pub(super) fn done_if(succeeded: bool) -> ExitCode {
    match succeeded {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// The code for the error that a command ended with.
pub(super) fn code(error: &(dyn Error + 'static)) -> ExitCode {
    let mut causes = successors(Some(error), |error| (*error).source());
    if let Some(signal) = error.downcast_ref().and_then(GenerateError::signal) {
        u8::try_from(signal.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
    } else if causes.any(is_misuse) {
        ExitCode::from(MISUSED)
    } else {
        ExitCode::FAILURE
    }
}

fn is_misuse(error: &(dyn Error + 'static)) -> bool {
    let unusable_setting = matches!(
        error.downcast_ref(),
        Some(
            StartError::Storage(StorageError::Settings { .. })
                | StartError::Tls(_)
                | StartError::Words(_)
                | StartError::Moderation(_)
                | StartError::Billing(_)
        )
    );
    let wrong_server = matches!(
        error.downcast_ref(),
        Some(GenerateError::Connect(ConnectError::Url { .. }))
    );
    error.is::<Problems>() || error.is::<Misuse>() || unusable_setting || wrong_server
}
