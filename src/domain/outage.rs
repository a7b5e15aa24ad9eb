//! Why the database cannot be used for now.

use super::with_causes;

/// The database is known to be away: nobody has tried to reach it for this call. It holds the cause.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct KnownOutage(pub String);

/// The database is there, and does not do what it is asked to for now: a sentence for callers, and the cause for the log.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{cause}")]
pub struct Hindrance {
    /// Without a full stop, and without a name of the database's.
    pub sentence: &'static str,
    /// What the database says.
    pub cause: String,
}

/// What callers are told.
pub(super) fn unavailable(cause: &(dyn std::error::Error + Send + Sync + 'static)) -> &'static str {
    match cause.downcast_ref::<Hindrance>() {
        Some(hindrance) => hindrance.sentence,
        None => "the database cannot be reached right now",
    }
}

/// A cause once more; of one that cannot be copied, its words.
pub(super) fn same(
    cause: &(dyn std::error::Error + Send + Sync + 'static),
) -> Box<dyn std::error::Error + Send + Sync> {
    if let Some(outage) = cause.downcast_ref::<KnownOutage>() {
        return Box::new(outage.clone());
    }
    match cause.downcast_ref::<Hindrance>() {
        Some(hindrance) => Box::new(hindrance.clone()),
        None => with_causes(cause).into(),
    }
}
