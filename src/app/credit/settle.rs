//! What stayed reserved in the ledger because nobody kept it when its job ended, or because the job is gone.

use crate::{
    app::App,
    billing::Billing,
    domain::Error,
    store::{self, queue},
};

/// Jobs that are looked at in one transaction.
const AT_ONCE: u64 = 1_000;

impl App {
    /// Settles what was left behind among the next jobs after this one that have reserved something, and returns the last that
    /// was looked at; 0 when there are no more. Jobs that end while the ledger is kept are settled at once.
    pub async fn settle_left(&self, after: i64) -> Result<i64, Error> {
        let Billing::Ledger = self.settings.billing else {
            return Ok(0);
        };
        let left = store::credit::left(self.store.reader(), after, AT_ONCE).await?;
        let Some(last) = left.last else {
            return Ok(0);
        };
        if !left.jobs.is_empty() {
            let settled = self.store.write(async |tx| {
                let now = queue::time(tx, self.clock.queue()).await?;
                store::credit::settle(tx, &left.jobs).await?;
                store::credit::release_vanished(tx, &left.jobs, now).await
            });
            settled.await?;
        }
        Ok(last)
    }
}
