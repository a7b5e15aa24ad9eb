//! What a server does when it starts: an empty storage gets an owner before there is anything in it.

use futures::TryStreamExt;

use crate::{
    app::App,
    domain::{Doubt, Error, Ownership},
};

use super::Withheld;

impl App {
    /// Claims a storage that nobody has claimed and that is empty, so that no database that comes later takes it for its own. One
    /// that is this database's counts the start, so that a backup of before is known as that.
    ///
    /// # Errors
    /// When the database or the storage does not answer.
    pub async fn claim_empty_storage(&self) -> Result<(), Error> {
        let mut claim = self.find_claim().await?;
        if claim.ownership == Ownership::Ours {
            let last = self
                .unknown(self.storage.objects_of_last_job().await?)
                .await?;
            if self.are_strange(&last, &claim).await? {
                claim.ownership = Ownership::Doubtful(Doubt::OlderDatabase);
            }
        }
        match claim.ownership {
            Ownership::Ours => {
                self.count_look(claim).await?;
            }
            Ownership::Unclaimed if self.storage.list().try_next().await?.is_none() => {
                self.claim_storage().await?;
            }
            Ownership::Unclaimed => {
                tracing::info!(
                    "nobody has claimed the media storage, and it holds objects: the next look for those without a record finds \
                     out whose it is"
                );
            }
            Ownership::Doubtful(doubt) => {
                let why = Withheld::Doubtful(doubt);
                tracing::warn!(why = %why, "objects without a record will not be removed");
            }
        }
        Ok(())
    }
}
