//! The end of credits that nobody has spent in time.

use crate::{
    app::App,
    billing::Billing,
    domain::Error,
    store::{self, queue},
};

/// Grants that end in one transaction.
const AT_ONCE: u64 = 100;

impl App {
    /// Lets all grants end whose time is over. Returns how many.
    pub async fn expire_credits(&self) -> Result<usize, Error> {
        let Billing::Ledger = self.settings.billing else {
            return Ok(0);
        };
        let mut expired = 0;
        loop {
            let batch = self.store.write(async |tx| {
                let now = queue::time(tx, self.clock.queue()).await?;
                store::credit::expire(tx, now, AT_ONCE).await
            });
            match batch.await? {
                0 => return Ok(expired),
                grants => expired += grants,
            }
        }
    }
}
