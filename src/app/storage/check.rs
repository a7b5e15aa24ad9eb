//! Rows whose files are not there, as after a storage was set back: what a sweep cannot see. It looks at the storage a folder of a
//! job at a time, so it asks as often as there are jobs with files.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    app::App,
    domain::{Error, Resource},
    media::{Owner, StorageKey},
    store::{
        self, Transaction,
        stored_file::{KINDS, StoredFile},
    },
};

/// Rows that are read at once.
const ROWS: u64 = 500;
/// So many may always be repaired, whatever their share of all is.
const ALWAYS_FEW: usize = 10;

/// A row whose file is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amiss {
    /// Of which kind the row is.
    pub kind: Resource,
    /// The row's, and what it says of the file.
    pub file: StoredFile,
    /// Bytes of what is there; `None` if nothing is.
    pub found: Option<u64>,
}

/// What a look at all rows with files has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Rows with files.
    pub rows: usize,
    /// Those whose files are not there, or of another size.
    pub amiss: Vec<Amiss>,
}

impl Check {
    /// Those whose files are gone.
    pub fn lost(&self) -> impl Iterator<Item = &Amiss> {
        self.amiss.iter().filter(|amiss| amiss.found.is_none())
    }
}

impl App {
    /// Finds the rows whose files are not as they say.
    ///
    /// # Errors
    /// When the database or the storage does not answer.
    pub async fn check_storage(&self) -> Result<Check, Error> {
        let mut check = Check::default();
        for kind in KINDS {
            let mut after = 0;
            loop {
                let db = self.store.reader();
                let files = store::stored_file::after(db, kind, after, ROWS).await?;
                let Some(last) = files.last() else { break };
                after = last.id;
                check.rows += files.len();
                let amiss = self.amiss(kind, &files).await?;
                check.amiss.extend(amiss);
            }
        }
        Ok(check)
    }

    /// Has rows whose files are gone promise them no more: media are deleted and stay as references, uploads go. Returns how many
    /// those were.
    ///
    /// # Errors
    /// [`Error::StorageUnavailable`] where the storage may be another database's, or so many files are gone that it is rather the
    /// storage that is not there: more than `share` percent.
    pub async fn repair_storage(&self, check: &Check, share: u32) -> Result<u64, Error> {
        self.require_own_storage().await?;
        let lost = check.lost().count();
        if lost > ALWAYS_FEW.max(check.rows * share as usize / 100) {
            let why = format!(
                "{lost} of {} files are gone, which is more than {share}% (storage.removal_share): put them back, or raise it",
                check.rows
            );
            return Err(Error::StorageUnavailable(why.into()));
        }
        let repair = async |tx: &Transaction| {
            let now = self.clock.now();
            let mut repaired = 0;
            for kind in KINDS {
                let of_kind = check.lost().filter(|amiss| amiss.kind == kind);
                let ids = of_kind.map(|amiss| amiss.file.id);
                repaired += store::stored_file::lose(tx, kind, ids, now).await?;
            }
            Ok(repaired)
        };
        self.store.write(repair).await
    }

    async fn amiss(&self, kind: Resource, files: &[StoredFile]) -> Result<Vec<Amiss>, Error> {
        let keyed = files.iter().filter_map(|file| {
            let key = StorageKey::from_path(&file.storage_key).ok()?;
            Some((file, key))
        });
        let keyed: Vec<_> = keyed.collect();
        let owners: BTreeSet<Owner> = keyed.iter().map(|(_, key)| key.owner()).collect();
        let there = self.objects_of(owners).await?;
        let there = there.iter().map(|object| (object.key.path(), object.size));
        let there: BTreeMap<&str, u64> = there.collect();
        let differs = |(file, key): &(&StoredFile, StorageKey)| {
            let found = there.get(key.path()).copied();
            let said = file.file_size.map(i64::unsigned_abs);
            let is_amiss = found.is_none() || said.is_some() && said != found;
            is_amiss.then(|| ((*file).clone(), found))
        };
        let amiss: Vec<(StoredFile, Option<u64>)> = keyed.iter().filter_map(differs).collect();
        if amiss.is_empty() {
            return Ok(Vec::new());
        }
        // What was removed meanwhile is named no more.
        let files: Vec<StoredFile> = amiss.iter().map(|(file, _)| file.clone()).collect();
        let still = store::stored_file::still(self.store.reader(), kind, &files).await?;
        let amiss = amiss.into_iter().filter(|(file, _)| still.contains(file));
        Ok(amiss
            .map(|(file, found)| Amiss { kind, file, found })
            .collect())
    }
}
