//! Whether the attempts that run here still have their jobs: one statement tells it of all, however many they are.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::store::queue::{self, Lease};

use super::Executor;

/// How often it is looked whether attempts are to stop, see docs/domain.md#cancelling.
const STOP_POLL: Duration = Duration::from_secs(1);

/// A look takes no longer, so that a connection that hangs does not keep all of them from hearing of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The leases of the attempts that run here, and what tells each that it has lost its own. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Leases(Arc<Mutex<BTreeMap<Lease, CancellationToken>>>);

/// A lease that is looked after until this is dropped.
pub(super) struct LookedAfter<'a>(&'a Leases, &'a Lease);

impl Leases {
    /// Has `lost` cancelled when somebody takes the lease away.
    pub(super) fn look_after<'a>(
        &'a self,
        lease: &'a Lease,
        lost: &CancellationToken,
    ) -> LookedAfter<'a> {
        self.lock().insert(lease.clone(), lost.clone());
        LookedAfter(self, lease)
    }

    /// A panic cannot leave it half changed.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Lease, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LookedAfter<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(self.1);
    }
}

impl Executor {
    /// Looks whether somebody takes leases away, as when a job is cancelled. The next renewal would tell that too, but later.
    pub(super) async fn watch_leases(&self) {
        loop {
            sleep(STOP_POLL).await;
            let leases = self.leases.lock().clone();
            if leases.is_empty() {
                continue;
            }
            let look = queue::held(self.app.store.reader(), leases.keys());
            let Ok(Ok(held)) = timeout(PATIENCE, look).await else {
                continue;
            };
            for (lease, lost) in leases {
                if !held.contains(&lease) {
                    lost.cancel();
                }
            }
        }
    }
}
