//! What operators watch, with what only the database and its connections tell, see docs/operations.md#metrics.

use std::time::Duration;

use tokio::time::Instant;

use crate::{app::App, domain::Error, store::queue};

/// The database is asked for a share of the time at most, however often this is asked for.
const REST: u32 = 20;
const SHORTEST_REST: Duration = Duration::from_secs(5);

impl App {
    /// What is counted, as text. What waits in the queue may be of some seconds ago, and is left out while the database is away.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be written down.
    pub async fn metrics_text(&self) -> Result<String, Error> {
        self.count_queue().await;
        for (state, count) in self.store.connections() {
            self.metrics.tell_connections(state, count);
        }
        let text = self.metrics.text();
        text.map_err(|error| Error::internal(error.to_string()))
    }

    /// Counts what waits, unless that was done lately.
    async fn count_queue(&self) {
        let mut next = self.metrics.next_count().lock().await;
        let began = Instant::now();
        if next.is_some_and(|next| began < next) {
            return;
        }
        let bands = queue::depth(self.store.reader(), self.clock.queue()).await;
        if let Err(error) = &bands {
            tracing::debug!(%error, "cannot count what waits");
        }
        self.metrics.tell_queue(bands.unwrap_or_default());
        let rest = (began.elapsed() * REST).max(SHORTEST_REST);
        *next = Some(Instant::now() + rest);
    }
}
