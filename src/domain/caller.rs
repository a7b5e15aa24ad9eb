//! Whose rows are shown, and how much of them.

use super::View;

/// Who asks. Every lookup and list is scoped by it inside the store, so that someone else's row is not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A backend that may act for any user and sees what is for operators.
    TrustedService,
    /// An end user, who sees his own rows only.
    User(i64),
}

impl Caller {
    /// The only user whose rows the caller may see; `None` means all.
    pub fn scope(self) -> Option<i64> {
        match self {
            Self::TrustedService => None,
            Self::User(id) => Some(id),
        }
    }

    /// The most that the caller may see.
    pub fn view(self) -> View {
        match self {
            Self::TrustedService => View::Full,
            Self::User(_) => View::User,
        }
    }

    /// Whether the caller may do what is for operators.
    pub fn is_trusted(self) -> bool {
        matches!(self, Self::TrustedService)
    }
}
