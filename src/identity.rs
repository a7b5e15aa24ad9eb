//! Who calls. Tokens are believed here and nowhere else; what is believed becomes a [`Principal`], see docs/identity.md.

mod cryptography;
mod issuer;
mod key;
mod keys;
mod principal;
mod published;
mod token;

use chrono::{DateTime, Utc};

pub use issuer::Issuer;
pub use keys::{Keys, KeysError, PublishedKeys};
pub use principal::{Principal, Proof, Role};
pub use published::{Pace, Published};
pub use token::Tokens;

use crate::domain::Error;

/// Before the role in a token's scope.
const SCOPE_PREFIX: &str = "generation.";

/// How callers show who they are.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// Not at all: whoever reaches the server is trusted, and what a call brings is not looked at.
    None,
    /// By a token.
    Tokens(Tokens),
}

impl Authentication {
    /// Who makes a call that brings this token.
    ///
    /// # Errors
    /// The token is missing, expired or not to be believed, or the keys to check it by cannot be had.
    pub async fn principal(
        &self,
        token: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Principal, Error> {
        match self {
            Self::None => Ok(Principal::local()),
            Self::Tokens(tokens) => {
                let token = token.ok_or(Error::CredentialsMissing)?;
                tokens.verify(token, now).await
            }
        }
    }
}
