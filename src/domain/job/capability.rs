//! What jobs ask for and workers offer.

use serde::{Deserialize, Serialize};

use crate::domain::MediaType;

/// What a worker can run: the jobs of one provider that make media of one type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Capability {
    /// Name of the provider; empty where a job names none.
    pub provider: String,
    /// What its features make.
    pub category: MediaType,
}
