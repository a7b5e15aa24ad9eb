//! What a sweep would remove, for an operator who looks first.

use std::time::Duration;

use crate::{app::App, domain::Error};

use super::{Sweep, Withheld};

impl App {
    /// Finds what [`Self::sweep_storage`] would remove, and changes nothing: neither the storage nor whose it is.
    ///
    /// # Errors
    /// When the database or the storage does not answer.
    pub async fn survey_storage(&self, age: Duration) -> Result<Sweep, Error> {
        let claim = self.find_claim().await?;
        let found = self.find_orphans(&claim, age).await?;
        Ok(match found.doubt(claim.ownership) {
            Some(doubt) => found.kept(Withheld::Doubtful(doubt)),
            None if found.orphans.is_empty() => found.sweep(),
            None => found.kept(Withheld::DryRun),
        })
    }
}
