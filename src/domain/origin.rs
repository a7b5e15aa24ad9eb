//! Which versions of a feature and a template a job was made from, for the recipe of its files.

use serde::{Deserialize, Serialize};

/// The feature and the template, as they were, that a job's input was resolved with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The feature of the request.
    pub feature: Versioned,
    /// `None` where the request has no template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Versioned>,
}

/// One version of a feature or a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned {
    /// Of the row.
    pub id: i64,
    /// As it was then.
    pub name: String,
    /// The number that its etag tells.
    pub version: i64,
}
