//! Batches that are done as a whole: each entry names a row and the version that the caller has seen.

use super::{Checks, Flaw};

const MAX_ENTRIES: usize = 100;

/// A row to change.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// Of the row.
    pub id: i64,
    /// Of its version; empty fits all.
    pub etag: String,
}

/// Notes what is wrong with the entries themselves.
pub fn check_entries(entries: &[Entry], checks: &mut Checks) {
    let count = entries.len();
    checks.require((1..=MAX_ENTRIES).contains(&count), "entries", || {
        let words = format!("must have 1 to {MAX_ENTRIES} entries, has {count}");
        Flaw::TooMany
            .says(words)
            .min(1)
            .max(MAX_ENTRIES)
            .found(count)
    });
    for (index, entry) in entries.iter().take(MAX_ENTRIES).enumerate() {
        let id = format!("entries[{index}].id");
        checks.id(&id, entry.id);
        checks.etag(&format!("entries[{index}].etag"), &entry.etag);
        let is_first = entries[..index].iter().all(|other| other.id != entry.id);
        checks.require(is_first, &id, || {
            Flaw::Duplicate
                .says(format!("{} is named twice", entry.id))
                .found(entry.id)
        });
    }
}

/// The entries with their places, in order of the ids: so two batches never wait for each other.
pub fn by_id(entries: &[Entry]) -> Vec<(usize, &Entry)> {
    let mut by_id: Vec<(usize, &Entry)> = entries.iter().enumerate().collect();
    by_id.sort_unstable_by_key(|(_, entry)| entry.id);
    by_id
}
