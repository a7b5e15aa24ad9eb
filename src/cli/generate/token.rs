//! By what a command shows a running server who asks.

use std::path::Path;

use secrecy::SecretString;

use super::{GenerateArguments, GenerateError};

/// The variable that holds a token or key. On the command line everybody on the machine could read it.
const VARIABLE: &str = "ATELIER_TOKEN";

/// What the arguments or the environment give for a running server; `None` if nothing. A server of our own needs none.
pub(super) fn given(arguments: &GenerateArguments) -> Result<Option<SecretString>, GenerateError> {
    if arguments.server.is_none() {
        return Ok(None);
    }
    match &arguments.token_file {
        Some(path) => read(path).map(Some),
        None => {
            let token = std::env::var(VARIABLE).unwrap_or_default();
            Ok((!token.is_empty()).then(|| token.into()))
        }
    }
}

fn read(path: &Path) -> Result<SecretString, GenerateError> {
    let text = std::fs::read_to_string(path).map_err(|source| GenerateError::Read {
        path: path.to_owned(),
        source,
    })?;
    match text.trim() {
        "" => Err(GenerateError::NoToken(path.to_owned())),
        token => Ok(token.to_owned().into()),
    }
}

/// Whose request it is: 0 stands for whom a token is for.
pub(super) fn user(arguments: &GenerateArguments, token: Option<&SecretString>) -> i64 {
    arguments.user.unwrap_or(match token {
        Some(_) => 0,
        None => 1,
    })
}
