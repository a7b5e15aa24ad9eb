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

/// A capability as a worker tells it to operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skill {
    /// Name of the provider.
    pub provider: String,
    /// What it makes.
    pub category: MediaType,
    /// What the worker lacks to run it now; `None` if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}
