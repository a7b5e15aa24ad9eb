//! What a server does when it starts: an empty storage gets an owner before there is anything in it.

use futures::TryStreamExt;

use crate::{
    app::App,
    domain::{Error, Ownership},
};

use super::Withheld;

impl App {
    /// Claims a storage that nobody has claimed and that is empty, so that no database that comes later takes it for its own. One
    /// that is this database's counts the start, so that a backup of before is known as that.
    ///
    /// # Errors
    /// When the database or the storage does not answer.
    pub async fn claim_empty_storage(&self) -> Result<(), Error> {
        let (database, ownership) = self.ownership().await?;
        match ownership {
            Ownership::Ours => {
                self.count_look(database).await?;
            }
            Ownership::Unclaimed if self.storage.list().try_next().await?.is_none() => {
                self.claim_storage().await?;
            }
            Ownership::Unclaimed => {}
            Ownership::Doubtful(doubt) => {
                let why = Withheld::Doubtful(doubt);
                tracing::warn!(why = %why, "objects without a record will not be removed");
            }
        }
        Ok(())
    }
}
