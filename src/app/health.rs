//! What ails this process, found by probes that go on by themselves: to ask costs nothing.

mod pulse;

use std::collections::BTreeSet;

use strum::IntoStaticStr;
use tokio::sync::watch;

pub use pulse::Pulse;

/// What can be wrong with a process or with what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Ailment {
    /// It has its ports, and not all that it needs.
    Starting,
    /// It drains: it takes up no job any more.
    ShuttingDown,
    /// The last probe of the database had no answer, or not in time.
    DatabaseAway,
    /// A table or a column is missing that this program needs.
    SchemaUnknown,
    /// The executor's claim loop has not turned for too long, see [`Pulse`].
    WorkerStuck,
    /// The database is there, but a lock, or calls that have all connections, keeps the probe waiting.
    DatabaseBusy,
    /// PostgreSQL takes no writes, as a standby does.
    DatabaseReadOnly,
    /// There is no room for more, or there was none moments ago.
    DatabaseFull,
    /// The last probe could not write, or could not read what it wrote.
    DatabaseUnwritable,
    /// The last probe of the media storage failed.
    StorageAway,
    /// The last submissions to a provider have failed, and its jobs wait.
    ProviderAway,
    /// Billing has not answered for several calls.
    BillingAway,
    /// Billing does not take what some jobs cost, or does not give it back.
    BillingRefuses,
}

impl Ailment {
    /// What programs know it by.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// A sentence without a full stop, for anyone who may ask: it names no host.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Starting => {
                "the server is starting, and waits for its database or its storage if need be"
            }
            Self::ShuttingDown => "the server is shutting down",
            Self::DatabaseAway => "the database does not answer",
            Self::SchemaUnknown => "the database's schema is not the one that this program knows",
            Self::WorkerStuck => "the executor stands still",
            Self::DatabaseBusy => "the database is there, but keeps the service waiting",
            Self::DatabaseReadOnly => "the database is read-only",
            Self::DatabaseFull => "the disk of the database is full",
            Self::DatabaseUnwritable => "the database refuses what is written, or does not keep it",
            Self::StorageAway => "the media storage cannot be reached",
            Self::ProviderAway => "a generator does not answer: its jobs wait, the others run",
            Self::BillingAway => "Billing does not answer",
            Self::BillingRefuses => "Billing does not take what it is told of some jobs",
        }
    }

    /// Whether the process can do nothing of use. The others leave reads and watches as they are.
    pub fn is_fatal(self) -> bool {
        match self {
            Self::Starting
            | Self::ShuttingDown
            | Self::DatabaseAway
            | Self::SchemaUnknown
            | Self::WorkerStuck => true,
            Self::DatabaseBusy
            | Self::DatabaseReadOnly
            | Self::DatabaseFull
            | Self::DatabaseUnwritable
            | Self::StorageAway
            | Self::ProviderAway
            | Self::BillingAway
            | Self::BillingRefuses => false,
        }
    }
}

/// What is known to be wrong with this process. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health {
    found: watch::Sender<BTreeSet<Ailment>>,
}

impl Health {
    /// Of a process that is of no use yet.
    pub fn starting() -> Self {
        let found = watch::Sender::new(BTreeSet::from([Ailment::Starting]));
        Self { found }
    }

    /// The process has started.
    pub fn note_started(&self) {
        self.found
            .send_if_modified(|known| known.remove(&Ailment::Starting));
    }

    /// All that is wrong, the worst first.
    pub fn ailments(&self) -> BTreeSet<Ailment> {
        self.found.borrow().clone()
    }

    /// Hears of every change from now on.
    pub fn changes(&self) -> watch::Receiver<BTreeSet<Ailment>> {
        self.found.subscribe()
    }

    /// Replaces what was known of `aspects` by what a probe has found among them, and logs what is new, with its cause, and
    /// what is over.
    pub fn note(&self, aspects: &[Ailment], found: Option<(Ailment, String)>) {
        self.found.send_if_modified(|known| {
            let before = known.clone();
            known.retain(|ailment| !aspects.contains(ailment));
            known.extend(found.as_ref().map(|(ailment, _)| ailment));
            for over in before.difference(known) {
                tracing::info!(ailment = over.name(), "health: this is over");
            }
            if let Some((ailment, cause)) = found.filter(|(ailment, _)| !before.contains(ailment)) {
                tell(ailment, &cause);
            }
            *known != before
        });
    }
}

fn tell(ailment: Ailment, cause: &str) {
    let (name, sentence) = (ailment.name(), ailment.sentence());
    match ailment {
        // Somebody asked for it.
        Ailment::ShuttingDown => tracing::info!(ailment = name, cause, "health: {sentence}"),
        _ => tracing::warn!(ailment = name, cause, "health: {sentence}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_replaces_what_was_known_of_its_own_aspects_only() {
        let health = Health::default();
        let full = || Some((Ailment::DatabaseFull, String::new()));
        health.note(&[Ailment::DatabaseFull], full());
        health.note(&[Ailment::StorageAway], None);
        let mut changes = health.changes();
        health.note(&[Ailment::DatabaseFull], full());
        assert!(!changes.has_changed().unwrap_or(true));
        assert_eq!(changes.borrow_and_update().len(), 1);
        health.note(&[Ailment::DatabaseFull], None);
        assert!(changes.borrow().is_empty());
    }
}
