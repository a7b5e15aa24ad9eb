//! What is known about a setting, or a key of a provider's table, without its value.

/// One declaration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// `section.key`; of a provider's key only the latter.
    pub key: &'static str,
    /// What it means, in Markdown.
    pub doc: &'static str,
    /// How it is written, such as "duration".
    pub kind: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// Whether it may be left out although it has no default.
    pub optional: bool,
    /// The default as a TOML literal.
    pub default: Option<&'static str>,
    /// The least and the greatest value as TOML literals.
    pub range: Option<(&'static str, &'static str)>,
}

/// The kind that reads a field: its own type unless another is named.
macro_rules! kind {
    ($ty:ty) => {
        $ty
    };
    ($ty:ty, $kind:ty) => {
        $kind
    };
}

macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

pub(super) use {kind, optional};
