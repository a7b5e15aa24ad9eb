//! Whether the storage does what it is asked.

use tokio::sync::watch;

/// What the last write or check found. Everybody who shares the storage of this process sees it.
#[derive(Debug)]
pub(super) struct Health(watch::Sender<bool>);

impl Health {
    pub(super) fn new() -> Self {
        Self(watch::channel(false).0)
    }

    pub(super) fn is_away(&self) -> bool {
        *self.0.borrow()
    }

    /// Takes note of how a write or check ended.
    pub(super) fn note<T, E>(&self, ended: &Result<T, E>) {
        let away = ended.is_err();
        self.0
            .send_if_modified(|known| std::mem::replace(known, away) != away);
    }

    /// Waits until the storage is known to be away, or known to be back.
    pub(super) async fn becomes(&self, away: bool) {
        // The sender lives as long as this, so the wait ends with the value.
        let _ = self.0.subscribe().wait_for(|known| *known == away).await;
    }
}
