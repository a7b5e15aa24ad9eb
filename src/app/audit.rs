//! What all see is changed in somebody's name, and each change stands in the audit log, see docs/operations.md#the-audit-log.

use crate::{
    app::App,
    domain::{Actor, Deed, Error},
    entity::audit_entry,
    store::{self, Transaction},
};

/// The use cases in somebody's name: there is no other way to those that change what all see.
pub struct Acting<'a> {
    pub(super) app: &'a App,
    actor: Actor,
}

impl App {
    /// The same in somebody's name.
    pub fn acting(&self, actor: Actor) -> Acting<'_> {
        Acting { app: self, actor }
    }
}

impl Acting<'_> {
    /// In whose name.
    pub(super) fn actor_name(&self) -> &str {
        &self.actor.name
    }

    /// Does the work in a transaction, and with it the entries of all that the work has done; none where it changed nothing.
    pub(super) async fn write<T>(
        &self,
        work: impl AsyncFnOnce(&Transaction) -> Result<(T, Vec<Deed>), Error>,
    ) -> Result<T, Error> {
        self.write_unless(false, work).await
    }

    /// The same, or only to see what it would do, which stands in no log.
    pub(super) async fn write_unless<T>(
        &self,
        validate_only: bool,
        work: impl AsyncFnOnce(&Transaction) -> Result<(T, Vec<Deed>), Error>,
    ) -> Result<T, Error> {
        let noted = async |tx: &Transaction| {
            let (done, deeds) = work(tx).await?;
            let now = self.app.clock.now();
            let mut entries = Vec::with_capacity(deeds.len());
            for deed in deeds {
                entries.push(store::audit::add(tx, &self.actor, deed, now).await?);
            }
            Ok((done, entries))
        };
        let written = self.app.store.write_unless(validate_only, noted).await;
        let (done, entries) = written?;
        if !validate_only {
            entries.iter().for_each(tell);
        }
        Ok(done)
    }
}

/// Once it is certain.
fn tell(entry: &audit_entry::Model) {
    tracing::info!(
        target: "audit",
        audit_entry_id = entry.id,
        actor = entry.actor,
        credential = entry.credential,
        action = entry.action,
        subject_kind = entry.subject_kind,
        subject_id = entry.subject_id,
        detail = %entry.detail,
        "changed"
    );
}
