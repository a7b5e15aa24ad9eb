//! What a worker does after it has stored something: whoever else takes the storage for his own learns that he does not know
//! all of it.

use crate::{
    app::App,
    domain::{Doubt, Error, Installation, Ownership},
};

impl App {
    /// Leaves every copy of this database behind, since it does not know what was stored: it may have been taken while the
    /// attempts ran whose objects these are, and so know the attempts. A database that is itself behind, because a copy of it
    /// counts on, leaves that one behind as well, and then neither removes anything.
    ///
    /// # Errors
    /// When the database or the storage does not answer.
    pub async fn count_stored(&self) -> Result<(), Error> {
        let claim = self.find_claim().await?;
        match (claim.ownership, &claim.storage) {
            (Ownership::Ours, _) => {
                self.count_look(claim).await?;
            }
            (Ownership::Doubtful(Doubt::OlderDatabase), Some(storage)) => {
                let counter = storage.counter.saturating_add(1);
                let ahead = Installation {
                    counter,
                    ..storage.clone()
                };
                self.storage.mark(&ahead).await?;
            }
            _ => {}
        }
        Ok(())
    }
}
