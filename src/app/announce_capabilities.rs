use std::time::Duration;

use crate::{
    domain::{Error, job::Capability},
    store::queue,
};

use super::App;

/// How often a worker says what it can run.
pub const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(10);

impl App {
    /// Says what a worker can run, or what it lacks to, for those who ask why a job waits.
    pub async fn announce_capabilities(
        &self,
        capabilities: &[(Capability, Result<(), String>)],
    ) -> Result<(), Error> {
        queue::announce(self.store.writer(), capabilities, self.clock.queue()).await
    }
}
