//! The watch of all jobs of a user, those to come too, however many there are.
//!
//! Jobs are taken up in order of id. Those that have ended are forgotten once the floor has risen over them, see
//! [`UserCursor`]; the others are few, since no more than [`FOLLOWED`] are taken up at once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use crate::{
    app::{
        App, NewsStream,
        watch::{Following, Kind, Look, News, Reader, Watch, Watched, Whole},
    },
    domain::{Caller, Error, Sealer, Settling, UserCursor},
    events::{Subject, Watcher},
    store::{self, Pool, horizon, job::Standing, queue},
};

/// Most jobs that are followed at once and have not ended.
const FOLLOWED: usize = 500;
/// Most jobs above the floor that have ended. The floor rises over more without waiting, so that one transaction that stays
/// open, be it another program's, does not make the cursor grow: a job is missed that is committed only after so many later
/// ones of its user have ended.
const ENDED: usize = 250;
/// Jobs above the floor that are looked at together: all that may be named already, and some that are new.
const LOOKED_AT: usize = FOLLOWED + 2 * ENDED;

/// Most deletions that one look finds.
const DELETIONS: usize = 1_000;
/// A deletion is found although it was committed so long after its time.
const LATE: TimeDelta = TimeDelta::minutes(5);

struct WatchedUser {
    user_id: i64,
    cursor: UserCursor,
    sealer: Sealer,
    deletions: Deletions,
    /// Requests found to be deleted that are still to be told.
    deleted: Vec<i64>,
    /// Where the floor rises to once all that the last look has found is told.
    rising: Option<i64>,
    /// The first job that the last look has found no room for.
    waiting: Option<i64>,
}

/// Finds each deletion once.
#[derive(Debug)]
struct Deletions {
    /// Where the next look begins.
    from: DateTime<Utc>,
    /// Those found that it will find again.
    found: BTreeMap<i64, DateTime<Utc>>,
    /// The database's time, by which requests are deleted, and when it was that here.
    noted: (DateTime<Utc>, Instant),
}

impl App {
    /// Watches all jobs of a user from the transitions after the cursor on; without one, those that have not ended from their
    /// beginning, and those that come.
    pub async fn watch_user(
        &self,
        caller: Caller,
        user_id: i64,
        cursor: Option<UserCursor>,
    ) -> Result<NewsStream, Error> {
        if caller.scope().is_some_and(|id| id != user_id) {
            return Err(Error::UserUnknown(user_id));
        }
        // Before the first read, so that no change falls between the two.
        let watcher = self.events.watch([Subject::User(user_id)]);
        let db = self.store.reader();
        let opened = cursor.is_none().then(|| News::of(Kind::Opened));
        let now = queue::time(db, self.clock.queue()).await?;
        let mut cursor = match cursor {
            Some(cursor) => cursor,
            None => from_now_on(db, user_id, now).await?,
        };
        let mut deletions = Deletions::from(cursor.deletions_from, now);
        if opened.is_some() {
            let reader = Reader {
                app: self,
                caller,
                urgent: true,
            };
            deletions.find(reader, user_id).await?;
        }
        let following = resume(db, watcher, &mut cursor).await?;
        let watched = WatchedUser {
            user_id,
            cursor,
            sealer: self.sealer(caller),
            deletions,
            deleted: Vec::new(),
            rising: None,
            waiting: None,
        };
        let watch = Watch::new(self, caller, watched, following);
        Ok(watch.beginning_with(opened).news())
    }
}

/// The place before all jobs of a user that have not ended. The newest that have are named as told, since an older one than
/// those may still be committed.
async fn from_now_on(db: &Pool, user_id: i64, now: DateTime<Utc>) -> Result<UserCursor, Error> {
    let newest = store::job::newest(db, user_id, ENDED).await?;
    let unfinished = store::job::unfinished(db, user_id, FOLLOWED).await?;
    let mut cursor = UserCursor {
        deletions_from: (now - LATE).timestamp(),
        ..UserCursor::default()
    };
    if let (FOLLOWED, Some(last)) = (unfinished.len(), unfinished.last()) {
        // What comes after these has its turn when they have ended.
        cursor.floor = *last;
    } else if newest.len() == ENDED {
        cursor.floor = newest.last().map_or(0, |(id, ..)| id - 1);
    }
    for (id, revision, status) in newest {
        if id > cursor.floor && status.is_terminal() {
            cursor.told.advance(id, revision);
        }
    }
    for id in unfinished {
        cursor.told.advance(id, 0);
    }
    Ok(cursor)
}

/// Follows what the cursor names.
async fn resume(db: &Pool, watcher: Watcher, cursor: &mut UserCursor) -> Result<Following, Error> {
    if cursor.floor > store::job::last_id(db).await? {
        return Err(Error::RevisionAhead {
            job_id: cursor.floor,
            revision: 0,
            after_revision: 1,
        });
    }
    if let Some(settling) = cursor.settling
        && !horizon::is_known(db, settling.transaction).await?
    {
        cursor.settling = None;
    }
    let following = Following::new(watcher, std::mem::take(&mut cursor.told));
    let standings = store::job::standings(db, following.told.jobs()).await?;
    following.check_reached(&standings)?;
    Ok(following)
}

impl Watched for WatchedUser {
    async fn look(&mut self, reader: Reader<'_>, following: &mut Following) -> Result<Look, Error> {
        self.forget(following);
        // Before the jobs, so that those of a deleted request are read as it has left them.
        let deleted = self.deletions.find(reader, self.user_id).await?;
        self.deleted.extend(deleted);
        let settled = match self.cursor.settling {
            Some(settling) => self.has_settled(reader, settling).await?,
            None => false,
        };
        // Only then the jobs, so that all are among them that come before the one that has settled.
        let jobs = self.take_up(reader, following).await?;
        if settled {
            self.rise();
        }
        if self.cursor.settling.is_none() && self.rising.is_none() {
            self.cursor.settling = settle(reader, &jobs, self.cursor.floor).await?;
        }
        following.note(reader, &jobs).await;
        Ok(Look {
            deleted: std::mem::take(&mut self.deleted),
            ended: false,
        })
    }

    fn whole(&self) -> Whole {
        Whole::Many
    }

    fn cursor(&self, following: &Following) -> Result<String, Error> {
        self.cursor
            .encode(self.user_id, &following.told, &self.sealer)
    }
}

impl WatchedUser {
    /// Lets the floor rise, and forgets what has ended below it.
    fn forget(&mut self, following: &mut Following) {
        let mut floor = self.cursor.floor.max(self.rising.take().unwrap_or(0));
        let above = |(id, ended): (i64, bool)| (ended && id > floor).then_some(id);
        let ended: Vec<i64> = following.jobs().filter_map(above).collect();
        if let Some(most) = ended.len().checked_sub(ENDED + 1) {
            floor = self
                .waiting
                .map_or(ended[most], |waiting| ended[most].min(waiting - 1));
        }
        self.cursor.floor = floor;
        self.cursor.deletions_from = self.deletions.from.timestamp();
        following.retain(|id, ended| !ended || id > floor);
    }

    /// How the jobs stand that are named and those that are new, as far as there is room for them.
    async fn take_up(
        &mut self,
        reader: Reader<'_>,
        following: &mut Following,
    ) -> Result<Vec<Standing>, Error> {
        let floor = self.cursor.floor;
        let below: Vec<i64> = following
            .told
            .jobs()
            .take_while(|id| *id <= floor)
            .collect();
        let mut jobs = reader.standings(&below).await?;
        let found: BTreeSet<i64> = jobs.iter().map(|job| job.id).collect();
        following.retain(|id, _| id > floor || found.contains(&id));
        let mut room = FOLLOWED.saturating_sub(following.open());
        self.waiting = None;
        let above = reader.standings_after(self.user_id, floor, LOOKED_AT);
        for job in above.await? {
            if !following.told.names(job.id) {
                if room == 0 {
                    self.waiting.get_or_insert(job.id);
                    continue;
                }
                room -= 1;
                following.told.advance(job.id, 0);
            }
            jobs.push(job);
        }
        for job in &jobs {
            following.watcher.listen_to(Subject::Job(job.id));
        }
        Ok(jobs)
    }

    /// Whether no job up to the newest may come any more: neither of a transaction that goes on, nor of one that has not begun
    /// although its ids are given.
    async fn has_settled(&self, reader: Reader<'_>, settling: Settling) -> Result<bool, Error> {
        let passed = reader.oldest_transaction().await? >= settling.transaction;
        let (db, user_id, newest) = (reader.db(), self.user_id, settling.newest);
        Ok(passed && !store::reservation::is_intended_up_to(db, user_id, newest).await?)
    }

    /// The floor may rise, unless a job below waits for room.
    fn rise(&mut self) {
        let waiting = self.waiting.unwrap_or(i64::MAX);
        let settled = self
            .cursor
            .settling
            .take_if(|settling| settling.newest < waiting);
        self.rising = settled.map(|settling| settling.newest);
    }
}

/// Has the floor wait for the newest of the jobs, if that lies above it.
async fn settle(
    reader: Reader<'_>,
    jobs: &[Standing],
    floor: i64,
) -> Result<Option<Settling>, Error> {
    match jobs.last() {
        Some(job) if job.id > floor => Ok(Some(Settling {
            newest: job.id,
            transaction: reader.new_transaction().await?,
        })),
        _ => Ok(None),
    }
}

impl Deletions {
    fn from(seconds: i64, now: DateTime<Utc>) -> Self {
        Self {
            from: DateTime::from_timestamp(seconds, 0).unwrap_or_default(),
            found: BTreeMap::new(),
            noted: (now, Instant::now()),
        }
    }

    /// The database's time, without asking for it again. It may fall behind, after which more is looked at.
    fn now(&self) -> DateTime<Utc> {
        let (then, at) = self.noted;
        then + TimeDelta::from_std(at.elapsed()).unwrap_or_default()
    }

    /// The next requests that are deleted.
    async fn find(&mut self, reader: Reader<'_>, user_id: i64) -> Result<Vec<i64>, Error> {
        let deleted = reader.deletions(user_id, self.from, DELETIONS).await?;
        let last = deleted.last().filter(|_| deleted.len() == DELETIONS);
        self.from = last.map_or(self.from.max(self.now() - LATE), |(_, at)| *at);
        let mut new = Vec::new();
        for (id, at) in deleted {
            if self.found.insert(id, at) != Some(at) {
                new.push(id);
            }
        }
        self.found.retain(|_, at| *at >= self.from);
        Ok(new)
    }
}
