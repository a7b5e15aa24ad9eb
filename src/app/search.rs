//! What a search compares, where an older program has written it: what this one writes is folded with it.

use crate::{
    domain::Error,
    store::{
        report,
        search::{self, Searched},
    },
};

use super::App;

/// Most rows of one transaction.
const BATCH: u64 = 500;

impl App {
    /// Folds the rows of a table that are not. Any number of replicas may do so; with nothing to do it only reads. A database
    /// that takes no writes is no reason not to search what is folded.
    pub async fn fold_for_search<E: Searched>(&self) {
        let folded = async {
            while search::is_any_unfolded::<E>(self.store.reader()).await? {
                let fold = async |tx: &_| search::fold::<E>(tx, BATCH).await;
                self.store.write(fold).await?;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = folded.await {
            let table = E::default().table_name().to_owned();
            report(&error, &format!("cannot fold {table} for a search"));
        }
    }
}
