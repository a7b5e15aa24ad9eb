//! Objects that no record names: what attempts left behind that lost their lease, or their server, between storing and
//! committing. They are removed only from a storage that is this database's, which [`ownership`] decides.

mod adopt;
mod check;
mod claim_empty;
mod count_stored;
mod discard;
mod survey;
mod sweep;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use crate::{
    app::App,
    domain::{Caller, Doubt, Error, Installation, Ownership, ownership},
    media::{ListedObject, Owner, StorageKey},
    store,
};

pub use check::{Amiss, Check};
pub(super) use discard::Spare;

/// Folders that are looked at side by side.
const SIDE_BY_SIDE: usize = 8;

/// Most objects that are looked up at once.
const BATCH: usize = 500;

/// What may be removed.
#[derive(Clone, Copy, Debug)]
pub struct Removal {
    /// How old an object must be, by the database's clock.
    pub age: Duration,
    /// Whether anything is removed at all.
    pub mode: RemovalMode,
    /// Most objects that may go at once, in percent of all; `None`: any number.
    pub share: Option<u32>,
}

/// Whether what no record names is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovalMode {
    /// Removed.
    On,
    /// Only told.
    DryRun,
    /// Nobody even looks.
    Off,
}

/// What was found and done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Objects of ours in the storage.
    pub objects: usize,
    /// Those that no record names, old enough to go.
    pub orphans: usize,
    /// Those that are gone now.
    pub removed: usize,
    /// Why they were left where they are.
    pub withheld: Option<Withheld>,
}

/// Why nothing was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// Nobody looked.
    Off,
    /// They would have gone.
    DryRun,
    /// They may be somebody's.
    Doubtful(Doubt),
    /// More than this many percent of all objects would go.
    Share(u32),
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("storage.removal is off"),
            Self::DryRun => {
                f.write_str("this was only a look; `atelier storage clean` removes them")
            }
            Self::Doubtful(doubt) => {
                write!(
                    f,
                    "{doubt}; if it is yours all the same, run `atelier storage adopt`"
                )
            }
            Self::Share(percent) => write!(
                f,
                "they are more than {percent}% of all objects (storage.removal_share); if they may go, run `atelier storage clean`"
            ),
        }
    }
}

/// What a listing has found.
#[derive(Default)]
struct Found {
    objects: usize,
    /// Of any age.
    unknown: usize,
    orphans: Vec<StorageKey>,
    /// Whether some cannot be this database's.
    strange: bool,
}

/// Whose the storage is.
pub(super) struct Claim {
    database: Option<Installation>,
    storage: Option<Installation>,
    pub(super) ownership: Ownership,
}

impl Claim {
    /// See [`Installation::adopted_at`].
    fn adopted_at(&self) -> Option<DateTime<Utc>> {
        self.storage.as_ref().and_then(|storage| storage.adopted_at)
    }
}

impl App {
    pub(super) async fn find_claim(&self) -> Result<Claim, Error> {
        // The storage first: what it counts was in the database before, so that no look of another replica comes between.
        let storage = self.storage.installation().await?;
        let database = store::installation::find(self.store.writer()).await?;
        let ownership = ownership(database.as_ref(), storage.as_ref());
        Ok(Claim {
            database,
            storage,
            ownership,
        })
    }

    async fn claim_storage(&self) -> Result<(), Error> {
        let fresh = Installation {
            id: Uuid::new_v4().to_string(),
            counter: 1,
            adopted_at: None,
        };
        let claim = self
            .store
            .write(async |tx| store::installation::claim(tx, fresh).await);
        // Another may be faster: then it is the storage's, and this database finds out when it looks.
        self.storage.mark_if_unmarked(&claim.await?).await?;
        Ok(())
    }

    /// Returns false if the database has become another installation.
    async fn count_look(&self, claim: Claim) -> Result<bool, Error> {
        let adopted_at = claim.adopted_at();
        let Some(Installation { id, .. }) = claim.database else {
            return Ok(false);
        };
        let advanced = store::installation::advance(self.store.writer(), &id).await?;
        match advanced {
            // The storage second: should this fail, the database is ahead, which is well.
            Some(counted) => {
                let counted = Installation {
                    adopted_at,
                    ..counted
                };
                self.storage.mark(&counted).await?;
            }
            None => return Ok(false),
        }
        Ok(true)
    }

    /// What is in the storage of these, whether or not a record names it.
    pub(super) async fn objects_of(
        &self,
        owners: impl IntoIterator<Item = Owner>,
    ) -> Result<Vec<ListedObject>, Error> {
        let listed = owners.into_iter().map(|owner| {
            let storage = self.storage.clone();
            async move { storage.objects_of(owner).await }
        });
        let listed = stream::iter(listed.collect::<Vec<_>>()).buffer_unordered(SIDE_BY_SIDE);
        let listed: Vec<Vec<ListedObject>> = listed.try_collect().await?;
        Ok(listed.into_iter().flatten().collect())
    }

    /// Fails where what records name may be another database's, of which this one is a copy: nothing of it is removed then.
    pub(super) async fn require_own_storage(&self) -> Result<(), Error> {
        match self.find_claim().await?.ownership {
            Ownership::Doubtful(doubt) => {
                let why = Withheld::Doubtful(doubt).to_string();
                Err(Error::StorageUnavailable(why.into()))
            }
            Ownership::Unclaimed | Ownership::Ours => Ok(()),
        }
    }

    /// What was written before this, by the database's clock, is old enough to go.
    async fn oldest_kept(&self, age: Duration) -> Result<DateTime<Utc>, Error> {
        let now = store::queue::time(self.store.reader(), self.clock.queue()).await?;
        Ok(now - TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX))
    }

    async fn find_orphans(&self, claim: &Claim, age: Duration) -> Result<Found, Error> {
        let oldest = self.oldest_kept(age).await?;
        let mut found = Found::default();
        let mut batches = self.storage.list().try_chunks(BATCH);
        while let Some(batch) = batches
            .try_next()
            .await
            .map_err(|error| Error::from(error.1))?
        {
            found.objects += batch.len();
            let unknown = self.unknown(batch).await?;
            found.unknown += unknown.len();
            found.strange = found.strange || self.are_strange(&unknown, claim).await?;
            let old = unknown
                .into_iter()
                .filter(|object| object.last_modified < oldest);
            found.orphans.extend(old.map(|object| object.key));
        }
        Ok(found)
    }

    /// Whether some of these objects, which no record names, are of attempts that this database has not begun: it is a copy of
    /// the one that has.
    async fn are_strange(&self, unknown: &[ListedObject], claim: &Claim) -> Result<bool, Error> {
        let adopted_at = claim.adopted_at();
        let mut attempts: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
        for object in unknown {
            if let Owner::Job(id) = object.key.owner()
                && adopted_at.is_none_or(|time| object.last_modified > time)
            {
                let of_job = attempts.entry(id).or_default();
                of_job.insert(object.key.attempt());
            }
        }
        self.leave_out_removed(&mut attempts).await?;
        let jobs = attempts.keys().copied().collect();
        let begun = store::job_event::begun_attempts(self.store.reader(), jobs).await?;
        Ok(attempts.iter().any(|(job, found)| {
            let begun = begun.get(job).map(Vec::as_slice).unwrap_or_default();
            let is_known = |attempt: &str| begun.iter().any(|key| key.as_deref() == Some(attempt));
            let strangers = found.iter().filter(|attempt| !is_known(attempt)).count();
            strangers > begun.iter().filter(|key| key.is_none()).count()
        }))
    }

    /// Of jobs that were made here and are gone, with their user or by the retention, nothing tells which attempts they had.
    async fn leave_out_removed<T>(&self, of_jobs: &mut BTreeMap<i64, T>) -> Result<(), Error> {
        let (db, everyone) = (self.store.reader(), Caller::TrustedService);
        let last = store::job::last_id(db).await?;
        let jobs = store::job::find_all(db, everyone, of_jobs.keys().copied()).await?;
        let there: BTreeSet<i64> = jobs.iter().map(|job| job.id).collect();
        of_jobs.retain(|job, _| there.contains(job) || *job > last);
        Ok(())
    }

    /// Those of the objects that no record names, and those that requests brought of which there is no record. A file that is
    /// coming has an object before its record, and one that was put to a bucket has none until it is completed: they are young.
    async fn unknown(&self, mut objects: Vec<ListedObject>) -> Result<Vec<ListedObject>, Error> {
        let paths = objects.iter().map(|object| object.key.path().to_owned());
        let db = self.store.reader();
        let known = store::media::known_storage_keys(db, paths.collect()).await?;
        let given = objects
            .iter()
            .filter_map(|object| match object.key.owner() {
                Owner::User(_) => Some(object.key.path().to_owned()),
                Owner::Job(_) | Owner::Request(_) => None,
            });
        let uploads = store::upload::known_storage_keys(db, given.collect()).await?;
        let owners = objects.iter().map(|object| object.key.owner());
        let requests = owners.filter_map(|owner| match owner {
            Owner::Request(id) => Some(id),
            Owner::Job(_) | Owner::User(_) => None,
        });
        let everyone = Caller::TrustedService;
        let requests = store::request::visible(db, everyone, requests.collect()).await?;
        objects.retain(|object| match object.key.owner() {
            Owner::Job(_) => !known.contains(object.key.path()),
            Owner::Request(id) => !requests.contains(&id),
            Owner::User(_) => !uploads.contains(object.key.path()),
        });
        Ok(objects)
    }
}

impl Sweep {
    /// Before anything was looked at.
    fn withheld(why: Withheld) -> Self {
        Self {
            withheld: Some(why),
            ..Self::default()
        }
    }
}

impl Found {
    /// What is unknown in a storage that nobody has claimed may be somebody else's.
    fn doubt(&self, ownership: Ownership) -> Option<Doubt> {
        match ownership {
            Ownership::Doubtful(doubt) => Some(doubt),
            Ownership::Unclaimed if self.unknown > 0 => Some(Doubt::UnknownObjects(self.unknown)),
            Ownership::Ours if self.strange => Some(Doubt::OlderDatabase),
            Ownership::Unclaimed | Ownership::Ours => None,
        }
    }

    fn sweep(&self) -> Sweep {
        Sweep {
            objects: self.objects,
            orphans: self.orphans.len(),
            ..Sweep::default()
        }
    }

    fn kept(&self, withheld: Withheld) -> Sweep {
        Sweep {
            withheld: Some(withheld),
            ..self.sweep()
        }
    }
}
