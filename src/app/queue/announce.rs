//! What a worker says of itself. It is kept in the database, so that every replica can tell why a job waits.

use crate::{
    app::App,
    domain::{Error, job::Capability},
    store::queue,
};

impl App {
    /// Says what a worker can run, or what it lacks to, for those who ask why a job waits.
    pub async fn announce_capabilities(
        &self,
        capabilities: &[(Capability, Result<(), String>)],
    ) -> Result<(), Error> {
        queue::announce(self.store.writer(), capabilities, self.clock.queue()).await
    }
}
