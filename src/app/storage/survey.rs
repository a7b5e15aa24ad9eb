//! What a sweep would remove, for an operator who looks first.

use std::time::Duration;

use crate::{
    app::App,
    domain::{Error, Ownership},
};

use super::{Sweep, Withheld};

impl App {
    /// Finds what [`Self::sweep_storage`] would remove, and changes nothing: neither the storage nor whose it is.
    ///
    /// # Errors
    /// When the database or the storage does not answer.
    pub async fn survey_storage(&self, age: Duration) -> Result<Sweep, Error> {
        let (_, ownership) = self.ownership().await?;
        if let Ownership::Doubtful(doubt) = ownership {
            return Ok(Sweep::withheld(Withheld::Doubtful(doubt)));
        }
        let found = self.find_orphans(age).await?;
        Ok(match found.doubt(ownership) {
            Some(doubt) => found.kept(Withheld::Doubtful(doubt)),
            None if found.orphans.is_empty() => found.sweep(),
            None => found.kept(Withheld::DryRun),
        })
    }
}
