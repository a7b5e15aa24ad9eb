//! The removal, for upkeep and for an operator who has looked. It stops where so much would go that something may be
//! wrong.

use crate::{
    app::App,
    domain::{Doubt, Error, Ownership},
};

use super::{Found, Removal, RemovalMode, Sweep, Withheld};

/// So few may always go, whatever their share of all is.
const ALWAYS_FEW: usize = 10;

/// So many refusals do not keep the others from being removed; more are an outage.
const MOST_REFUSED: usize = 10;

impl App {
    /// Removes old objects that no record names, if the storage is certainly this database's.
    ///
    /// # Errors
    /// When the database or the storage does not answer; some objects may be removed by then.
    pub async fn sweep_storage(&self, removal: &Removal) -> Result<Sweep, Error> {
        if removal.mode == RemovalMode::Off {
            return Ok(Sweep::withheld(Withheld::Off));
        }
        let claim = self.find_claim().await?;
        let found = self.find_orphans(&claim, removal.age).await?;
        if let Some(doubt) = found.doubt(claim.ownership) {
            return Ok(found.kept(Withheld::Doubtful(doubt)));
        }
        if claim.ownership == Ownership::Unclaimed {
            self.claim_storage().await?;
        } else if !self.count_look(claim).await? {
            return Ok(found.kept(Withheld::Doubtful(Doubt::OtherDatabase)));
        }
        self.remove(found, removal).await
    }

    async fn remove(&self, found: Found, removal: &Removal) -> Result<Sweep, Error> {
        let (objects, orphans) = (found.objects, found.orphans.len());
        if removal.mode == RemovalMode::DryRun && orphans > 0 {
            return Ok(found.kept(Withheld::DryRun));
        }
        if removal.mode == RemovalMode::On {
            let oldest = self.oldest_kept(removal.age).await?;
            self.storage.remove_unfinished(oldest).await?;
        }
        if orphans == 0 {
            return Ok(found.sweep());
        }
        if let Some(percent) = removal.share
            && orphans > ALWAYS_FEW.max(objects * percent as usize / 100)
        {
            return Ok(found.kept(Withheld::Share(percent)));
        }
        tracing::warn!(orphans, objects, "removing objects that no record names");
        let mut sweep = found.sweep();
        let mut refused = Vec::new();
        for key in found.orphans {
            match self.storage.delete(&key).await {
                Ok(()) => sweep.removed += 1,
                Err(error) => refused.push(error),
            }
            if refused.len() > MOST_REFUSED {
                break;
            }
        }
        match refused.pop() {
            None => Ok(sweep),
            Some(error) => {
                let (removed, refused) = (sweep.removed, refused.len() + 1);
                tracing::warn!(removed, refused, "the storage refuses to remove objects");
                Err(error.into())
            }
        }
    }
}
