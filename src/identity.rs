//! Who calls. Tokens are believed here and nowhere else; what is believed becomes a [`Principal`], see docs/identity.md.

mod api_key;
mod certificates;
mod cryptography;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod issuer;
mod key;
mod keys;
mod principal;
mod published;
mod token;

pub use api_key::{ApiKey, ApiKeys, READING_PAUSE, ShownKey};
pub use certificates::Certificates;
pub use issuer::Issuer;
pub use keys::{Keys, KeysError, PublishedKeys};
pub use principal::{Principal, Proof, Role};
pub use published::{Pace, Published};
pub use token::Tokens;

/// Before the role in a token's scope.
const SCOPE_PREFIX: &str = "generation.";

/// How callers show who they are. Without any of it, whoever reaches the server is trusted, and what a call brings is not looked
/// at.
#[derive(Clone, Debug, Default)]
pub struct Authentication {
    /// By a signed token.
    pub tokens: Option<Tokens>,
    /// Whether API keys are taken, too.
    pub api_keys: bool,
    /// Of calls without either, by the certificate of the connection.
    pub certificates: Certificates,
}

impl Authentication {
    /// Whether callers are asked who they are.
    pub fn asks(&self) -> bool {
        self.tokens.is_some() || self.api_keys || self.certificates.are_taken()
    }
}
