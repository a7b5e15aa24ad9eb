//! The removal of all that a user has, see docs/privacy.md.
//!
//! It goes on in small steps, each of which may be the last before a crash: requests are deleted as their user would delete them,
//! which stops their jobs and gives back their credits; then their objects go, and only then their rows, so that nothing is
//! left whose place nobody knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt};
use tokio::time::Instant;

use crate::{
    app::{Acting, App},
    domain::{
        AuditAction, Caller, Checks, Deed, Entry, Erased, Error, FIRST_ACCOUNT, Flaw, account_id,
    },
    entity::erasure::Model,
    media::{ListedObject, Owner, Storage, StorageError, StorageKey},
    store::{self, Transaction, erasure::Contents, queue},
};

/// Requests that are removed in one transaction.
const REQUESTS_AT_ONCE: u64 = 20;
/// Rows of the ledger that change hands in one transaction.
const ROWS_AT_ONCE: u64 = 1_000;
/// Objects that are removed side by side.
const REMOVED_SIDE_BY_SIDE: usize = 8;
/// How long whoever carries one out has it to himself without a sign of life.
const CLAIM: TimeDelta = TimeDelta::minutes(1);
/// What upkeep gives to one at a time.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a step has found to do.
enum Step {
    Done,
    /// There may be more.
    More,
    /// Others have to do something first.
    Waits,
}

impl Acting<'_> {
    /// Begins the erasure of a user, or finds the one that goes on. Once it has begun it ends, whatever becomes of this process.
    pub async fn erase_user(&self, user_id: i64) -> Result<Model, Error> {
        self.app.check_erasable(user_id)?;
        let account_id = account_id(rand::random());
        let begin = async |tx: &Transaction| {
            let now = self.app.clock.now();
            let (erasure, is_new) = store::erasure::begin(tx, user_id, account_id, now).await?;
            let deed = Deed::to(AuditAction::EraseUser, erasure.account_id);
            let deed = deed.with("erasure_id", erasure.id);
            let deeds = is_new.then_some(deed).into_iter().collect();
            Ok((erasure, deeds))
        };
        self.write(begin).await
    }
}

impl App {
    fn check_erasable(&self, user_id: i64) -> Result<(), Error> {
        let mut checks = Checks::default();
        checks.id("user_id", user_id);
        checks.require(user_id < FIRST_ACCOUNT, "user_id", || {
            let words =
                format!("must be below {FIRST_ACCOUNT}, from where accounts of erased users count");
            Flaw::OutOfRange
                .says(words)
                .max(FIRST_ACCOUNT - 1)
                .found(user_id)
        });
        checks.require(
            self.settings.system_user != Some(user_id),
            "user_id",
            || Flaw::Conflict.says("must not be the user whose media the catalogue shows"),
        );
        checks.finish(())
    }

    /// The erasure, which goes on or has ended.
    pub async fn find_erasure(&self, id: i64) -> Result<Model, Error> {
        store::erasure::find(self.store.reader(), id).await
    }

    /// Carries an erasure out, for as long as this and a step at least, unless somebody else does. It is as it stands then.
    pub async fn carry_out(&self, erasure: Model, patience: Duration) -> Result<Model, Error> {
        let end = Instant::now() + patience;
        let (id, now) = (erasure.id, self.queue_time().await?);
        if store::erasure::claim(self.store.writer(), id, now, now + CLAIM).await? {
            let carried = self.carry_on(&erasure, end).await;
            let left = store::erasure::leave(self.store.writer(), id).await;
            carried.and(left)?;
        }
        self.find_erasure(id).await
    }

    /// Carries out, one after the other, what has been left, and returns how many were looked at.
    pub async fn go_on_erasing(&self) -> Result<usize, Error> {
        let mut looked_at = 0;
        let now = self.queue_time().await?;
        for erasure in store::erasure::unclaimed(self.store.reader(), now).await? {
            if self.draining.is_cancelled() {
                break;
            }
            self.carry_out(erasure, PATIENCE).await?;
            looked_at += 1;
        }
        Ok(looked_at)
    }

    async fn queue_time(&self) -> Result<DateTime<Utc>, Error> {
        queue::time(self.store.reader(), self.clock.queue()).await
    }

    async fn carry_on(&self, erasure: &Model, end: Instant) -> Result<(), Error> {
        let Some(user_id) = erasure.user_id else {
            return Ok(());
        };
        loop {
            let step = self.erase_some(erasure, user_id).await?;
            let is_over = Instant::now() >= end || self.draining.is_cancelled();
            if is_over || !matches!(step, Step::More) {
                return Ok(());
            }
        }
    }

    async fn erase_some(&self, erasure: &Model, user_id: i64) -> Result<Step, Error> {
        let db = self.store.reader();
        let live = store::erasure::requests(db, user_id, true, REQUESTS_AT_ONCE).await?;
        if !live.is_empty() {
            self.hide(live).await?;
            return Ok(Step::More);
        }
        let deleted = store::erasure::requests(db, user_id, false, REQUESTS_AT_ONCE).await?;
        if !deleted.is_empty() {
            let now = self.clock.now();
            let give_up =
                async |tx: &Transaction| store::erasure::give_up_media(tx, &deleted, now).await;
            self.store.write(give_up).await?;
            let contents = store::erasure::contents(db, deleted).await?;
            self.remove_contents(erasure, contents).await?;
            return Ok(Step::More);
        }
        // Also what he has put to a bucket, and nobody has looked at.
        let given = self.objects_of([Owner::User(user_id)]).await?;
        if !given.is_empty() || store::erasure::has_uploads(db, user_id).await? {
            // What comes meanwhile is found the next time.
            self.remove_uploads(erasure, user_id, given).await?;
            return Ok(Step::More);
        }
        // Billing goes by the user's number.
        if store::erasure::is_owed(db, user_id).await? {
            return Ok(Step::Waits);
        }
        self.leave_ledger(erasure, user_id).await
    }

    /// As their user would: what waits is cancelled, what runs is stopped, and credits come back.
    async fn hide(&self, requests: Vec<i64>) -> Result<(), Error> {
        let entry = |id| Entry {
            id,
            ..Entry::default()
        };
        let entries: Vec<Entry> = requests.into_iter().map(entry).collect();
        let hidden = self.delete_requests(Caller::TrustedService, &entries).await;
        hidden.map(drop)
    }

    async fn remove_contents(&self, erasure: &Model, contents: Contents) -> Result<(), Error> {
        let jobs = contents.jobs.iter().map(|id| Owner::Job(*id));
        let requests = contents.requests.iter().map(|id| Owner::Request(*id));
        let found = self.objects_of(jobs.chain(requests)).await?;
        let removed = self.remove_all(found, &contents.objects).await?;
        let until = self.queue_time().await? + CLAIM;
        let remove = async |tx: &Transaction| {
            let requests = store::erasure::remove(tx, &contents.requests).await?;
            let removed = Erased {
                requests,
                jobs: contents.jobs.len() as u64,
                media: contents.media,
                ..removed.clone()
            };
            store::erasure::note(tx, erasure.id, removed, until).await
        };
        self.store.write(remove).await
    }

    /// What he gave, as long as he had it.
    async fn remove_uploads(
        &self,
        erasure: &Model,
        user_id: i64,
        given: Vec<ListedObject>,
    ) -> Result<(), Error> {
        let removed = self.remove_all(given, &[]).await?;
        let until = self.queue_time().await? + CLAIM;
        let remove = async |tx: &Transaction| {
            let uploads = store::erasure::remove_uploads(tx, user_id).await?;
            let removed = Erased {
                uploads,
                ..removed.clone()
            };
            store::erasure::note(tx, erasure.id, removed, until).await
        };
        self.store.write(remove).await
    }

    /// What was found in the storage, whether or not a row names it, and what rows name besides. What another row promises goes
    /// with that.
    async fn remove_all(
        &self,
        found: Vec<ListedObject>,
        named: &[String],
    ) -> Result<Erased, Error> {
        self.require_own_storage().await?;
        let found: BTreeMap<String, (StorageKey, u64)> = found
            .into_iter()
            .map(|object| (object.key.path().to_owned(), (object.key, object.size)))
            .collect();
        let mut removed = Erased::default();
        let elsewhere = named.iter().filter(|path| !found.contains_key(*path));
        let elsewhere: BTreeSet<&String> = elsewhere.collect();
        let elsewhere = elsewhere.into_iter();
        let elsewhere = elsewhere.filter_map(|path| StorageKey::from_path(path).ok());
        let sized = elsewhere.map(|key| (key, None));
        let sized = sized.chain(found.values().map(|(key, size)| (key.clone(), Some(*size))));
        let sized: Vec<(StorageKey, Option<u64>)> = sized.collect();
        let keys = sized.iter().map(|(key, _)| key.path().to_owned());
        let promised = store::media::promised(self.store.writer(), keys.collect()).await?;
        let unshared = sized.into_iter();
        let unshared = unshared.filter(|(key, _)| !promised.contains(key.path()));
        let removals = unshared.map(|(key, size)| {
            let storage = self.storage.clone();
            async move { remove(&storage, &key, size).await }
        });
        let removals = futures::stream::iter(removals.collect::<Vec<_>>());
        let mut removals = removals.buffer_unordered(REMOVED_SIDE_BY_SIDE);
        while let Some(size) = removals.try_next().await? {
            removed.objects += u64::from(size.is_some());
            removed.bytes += size.unwrap_or_default();
        }
        Ok(removed)
    }

    /// The last step: what the law has us keep stays as nobody's. It ends the erasure if that was all.
    async fn leave_ledger(&self, erasure: &Model, user_id: i64) -> Result<Step, Error> {
        let now = self.clock.now();
        let until = self.queue_time().await? + CLAIM;
        let (user, account) = (user_id, erasure.account_id);
        let leave = async |tx: &Transaction| {
            let kept = store::erasure::leave_ledger(tx, (user, account), ROWS_AT_ONCE, now).await?;
            let is_all = kept.kept_transactions.max(kept.kept_audit_entries) < ROWS_AT_ONCE;
            store::erasure::note(tx, erasure.id, kept, until).await?;
            if is_all {
                store::erasure::remove_counts(tx, user_id).await?;
                store::erasure::end(tx, erasure.id, now).await?;
            }
            Ok(is_all)
        };
        match self.store.write(leave).await? {
            true => Ok(Step::Done),
            false => Ok(Step::More),
        }
    }
}

/// How large it was; `None` if it was gone.
async fn remove(
    storage: &Storage,
    key: &StorageKey,
    size: Option<u64>,
) -> Result<Option<u64>, StorageError> {
    let size = match size {
        Some(size) => Some(size),
        None => match storage.head(key).await {
            Ok(facts) => Some(facts.total_size),
            Err(StorageError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        },
    };
    storage.delete(key).await.map(|()| size)
}
