//! What a request is known by, and may be changed after it was made.

use super::{Checks, JsonMap};

const MAX_TITLE_CHARS: usize = 200;

/// What a client may change of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestNotes {
    /// Empty while there is none.
    pub title: String,
    /// A collection of the Workspace domain.
    pub project_id: Option<i64>,
    /// Free data of the caller.
    pub metadata: JsonMap,
}

impl RequestNotes {
    /// Notes what breaks the rules.
    pub fn check(&self, checks: &mut Checks) {
        checks.line("title", &self.title, MAX_TITLE_CHARS);
        if let Some(id) = self.project_id {
            checks.id("project_id", id);
        }
        checks.json("metadata", &self.metadata);
    }
}
