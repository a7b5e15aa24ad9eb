//! What a search of features compares, where an older program has written it: what this one writes is folded with it.

use crate::{
    app::App,
    domain::Error,
    store::{self, report},
};

/// Most rows of one transaction.
const BATCH: u64 = 500;

impl App {
    /// Folds the features that are not. Any number of replicas may do so; with nothing to do it only reads. A database that
    /// takes no writes is no reason not to search what is folded.
    pub async fn fold_features(&self) {
        let folded = async {
            while store::feature::is_any_unfolded(self.store.reader()).await? {
                let fold = async |tx: &_| store::feature::fold(tx, BATCH).await;
                self.store.write(fold).await?;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = folded.await {
            report(&error, "cannot fold the features for a search");
        }
    }
}
