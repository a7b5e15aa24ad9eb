//! Storing what is asked for: requests that come while others are being stored are stored together, see
//! [`gather`](crate::app::gather).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use futures::{FutureExt, future::BoxFuture};

use crate::{
    app::{
        App,
        credit::Hold,
        gather::{self, Gathered, Lane},
        job::ChangedJobs,
    },
    billing::Billing,
    domain::{Checks, Error, JobCounts, RequestDraft},
    entity::{idempotency_key, job, request},
    store::{self, Transaction, feature::Offered, plan::Wish, request::Counted},
};

use super::{
    create::Accepted,
    sieve::{Candidate, Sieve},
    uploads::{upload_keys, vanished},
};

/// A request that is to be stored.
#[derive(Debug)]
pub(in crate::app) struct Intake {
    pub(super) draft: RequestDraft,
    /// What is wrong with it already.
    pub(super) checks: Checks,
    /// If one is reserved for it.
    pub(super) id: Option<i64>,
    /// What Billing holds for it, under the same id.
    pub(super) hold: Option<Hold>,
}

pub(super) type Verdict = gather::Verdict<Box<Accepted>>;

impl Gathered for Intake {
    type Done = Box<Accepted>;

    const NAME: &'static str = "requests";

    /// All of a user's in the same, since one of them would wait for the other.
    fn lane<'a>(&self, app: &'a App) -> &'a Lane<Self> {
        let [first, second] = &app.gathering.intakes;
        match app.store.has_one_writer() || self.draft.user_id % 2 == 0 {
            true => first,
            false => second,
        }
    }

    fn jobs(&self) -> usize {
        usize::try_from(self.draft.input.batch_size).unwrap_or_default()
    }

    fn write<'a>(
        app: &'a App,
        tx: &'a Transaction,
        batch: &'a [Arc<Self>],
        changed: &'a mut ChangedJobs,
    ) -> BoxFuture<'a, Result<Vec<Verdict>, Error>> {
        app.store_all(tx, batch, changed).boxed()
    }
}

impl App {
    /// Checks and stores a request, together with others that come at the same time. [`Error::UserUnknown`] if its user is not
    /// known yet.
    pub(super) async fn store_request(&self, intake: Intake) -> Result<Accepted, Error> {
        // The rows of one statement have reserved ids, or none has.
        let stored = match intake.id {
            Some(_) => self.write_alone(&Arc::new(intake)).await,
            None => self.write_gathered(intake).await,
        };
        Ok(*stored?)
    }

    /// Checks and stores these requests. Their features stay until the transaction ends.
    async fn store_all(
        &self,
        tx: &Transaction,
        batch: &[Arc<Intake>],
        changed: &mut ChangedJobs,
    ) -> Result<Vec<Verdict>, Error> {
        let mut sieve = self.resolve_all(tx, batch).await?;
        let offered = sieve.open.first().map(|it| it.offered.now);
        if let Some(offered) = offered {
            let now = self.clock.queue().unwrap_or(offered);
            self.sift_by_plan(tx, &mut sieve, now).await?;
            sift_by_key(tx, &mut sieve).await?;
            self.sift_by_credits(tx, &mut sieve, now).await?;
            sift_by_upload(tx, &mut sieve, now).await?;
            self.insert_all(tx, &mut sieve, now, changed).await?;
        }
        let verdict = |verdict: Option<Verdict>| {
            verdict.ok_or_else(|| Error::internal("a request was forgotten"))
        };
        sieve.verdicts.into_iter().map(verdict).collect()
    }

    async fn resolve_all<'a>(
        &'a self,
        tx: &Transaction,
        batch: &'a [Arc<Intake>],
    ) -> Result<Sieve<'a>, Error> {
        let drafts: Vec<&RequestDraft> = batch.iter().map(|intake| &intake.draft).collect();
        let found = store::feature::find_all_asked_for(tx, &drafts).await;
        let mut sieve = Sieve::of(batch.len());
        let mut asked = Vec::new();
        for (place, found) in found.into_iter().enumerate() {
            asked.extend(sieve.keep(place, found)?.map(|draft| (place, draft)));
        }
        let asking = asked.iter().map(|(_, draft)| (draft, upload_keys(draft)));
        let (asking, users) = (asking.collect::<Vec<_>>(), &self.settings.users);
        let offered = store::feature::find_all_offered(tx, users, &asking, true).await?;
        drop(asking);
        for ((place, draft), offered) in asked.into_iter().zip(offered) {
            let intake = &batch[place];
            let resolved =
                offered.and_then(|offered| self.candidate(place, intake, draft, offered));
            let candidate = sieve.keep(place, resolved)?;
            sieve.open.extend(candidate);
        }
        Ok(sieve)
    }

    fn candidate<'a>(
        &'a self,
        place: usize,
        intake: &'a Intake,
        asked: RequestDraft,
        offered: Offered,
    ) -> Result<Candidate<'a>, Error> {
        let resolved = self.resolve_draft(&asked, &offered, &intake.checks)?;
        self.check_provider(&resolved)?;
        if !offered.user_known {
            return Err(Error::UserUnknown(asked.user_id));
        }
        Ok(Candidate {
            place,
            plan: self.plan_of(&asked)?,
            intake,
            asked,
            offered,
            resolved,
        })
    }

    /// Refuses what the plans of the users leave no room for. Who asks for more than one counts for those that come after it as
    /// if it were accepted; so none of these is refused for certain.
    async fn sift_by_plan(
        &self,
        tx: &Transaction,
        sieve: &mut Sieve<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let wishes: Vec<Wish<'_>> = sieve.open.iter().filter_map(Candidate::wish).collect();
        if wishes.is_empty() {
            return Ok(());
        }
        let mut exceeded = self.exceeded(tx, &wishes, now).await?.into_iter();
        let mut users = BTreeSet::new();
        sieve.sift(|candidate| {
            candidate.wish()?;
            let is_first = users.insert(candidate.asked.user_id);
            let exceeded = exceeded.next().flatten()?;
            Some(match is_first {
                true => Verdict::Refused(Error::QuotaExceeded(exceeded)),
                false => Verdict::Alone,
            })
        });
        Ok(())
    }

    /// Refuses what its user has not the credits for, as [`Self::sift_by_plan`] does. Of a single one it shows when they are
    /// taken, for which their grants are locked as late as can be.
    async fn sift_by_credits(
        &self,
        tx: &Transaction,
        sieve: &mut Sieve<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        if sieve.is_of_one() || !matches!(self.settings.billing, Billing::Ledger) {
            return Ok(());
        }
        let payers = sieve.open.iter().filter(|candidate| candidate.cost() > 0);
        let payers = payers.map(|candidate| candidate.asked.user_id).collect();
        let available = store::credit::available(tx, payers, now).await?;
        let mut held: BTreeMap<i64, i64> = BTreeMap::new();
        sieve.sift(|candidate| {
            let (user_id, needed) = (candidate.asked.user_id, candidate.cost());
            let available = available.get(&user_id).copied().unwrap_or_default();
            let held = held.entry(user_id).or_default();
            let is_first = *held == 0;
            *held = held.saturating_add(needed);
            match (needed > 0 && *held > available, is_first) {
                (false, _) => None,
                (true, false) => Some(Verdict::Alone),
                (true, true) => Some(Verdict::Refused(Error::CreditsInsufficient {
                    user_id,
                    needed,
                    available,
                })),
            }
        });
        Ok(())
    }

    /// Stores all that is left.
    async fn insert_all(
        &self,
        tx: &Transaction,
        sieve: &mut Sieve<'_>,
        now: DateTime<Utc>,
        changed: &mut ChangedJobs,
    ) -> Result<(), Error> {
        let open = std::mem::take(&mut sieve.open);
        let requests: Vec<_> = open.iter().map(Candidate::new_request).collect();
        let requests = store::request::insert(tx, &requests, now).await?;
        store::upload::attach(tx, named_uploads(&open, &requests)).await?;
        claim_keys(tx, &open, &requests).await?;
        let max_attempts = self.settings.max_attempts;
        let stored = open.iter().zip(&requests);
        let jobs = stored.map(|(candidate, request)| candidate.jobs(request, max_attempts, now));
        let jobs: Vec<_> = jobs.collect();
        // Only one that is stored alone has what is held for it.
        let hold = open
            .first()
            .and_then(|candidate| candidate.intake.hold.as_ref());
        let number = open
            .iter()
            .map(|candidate| candidate.resolved.jobs.len())
            .sum();
        let ids = hold.map(|hold| hold.ids_for(number)).transpose()?;
        let jobs = store::job::insert(tx, ids, &jobs).await?;
        changed.take_up(hold);
        let used = requests.iter().filter(|request| !request.is_preview);
        let used: Vec<i64> = used.filter_map(|request| request.template_id).collect();
        store::trend::count_uses(tx, &used, now).await?;
        for ((candidate, request), jobs) in open.iter().zip(requests).zip(jobs) {
            changed.moved(&jobs, None)?;
            changed.requests_are_settled(&jobs);
            sieve.verdicts[candidate.place] = Some(accepted(request, jobs));
        }
        Ok(())
    }
}

/// Refuses what comes with a key that stands for a request already: that is the answer then. Of two with one key the second
/// comes again when the first is stored. Of a single one it shows when its key is taken.
async fn sift_by_key(tx: &Transaction, sieve: &mut Sieve<'_>) -> Result<(), Error> {
    let keyed = sieve
        .open
        .iter()
        .filter(|candidate| candidate.key().is_some());
    let asked: BTreeSet<_> = match sieve.is_of_one() {
        true => keyed.flat_map(Candidate::key_of_before).collect(),
        false => keyed
            .flat_map(|it| it.key().into_iter().chain(it.key_of_before()))
            .collect(),
    };
    let known = store::idempotency_key::known(tx, asked).await?;
    let mut taken = BTreeSet::new();
    sieve.sift(|candidate| {
        let key = candidate.key()?;
        let before = candidate.key_of_before();
        let is_in = |keys: &BTreeSet<_>| {
            keys.contains(&key) || before.as_ref().is_some_and(|before| keys.contains(before))
        };
        if is_in(&known) {
            return Some(Verdict::Refused(key_is_taken()));
        }
        if is_in(&taken) {
            return Some(Verdict::Alone);
        }
        taken.insert(key);
        None
    });
    Ok(())
}

/// The requests, with the uploads that each of them names.
fn named_uploads(open: &[Candidate<'_>], requests: &[request::Model]) -> Vec<(i64, i64)> {
    let stored = open.iter().zip(requests);
    let named = stored.flat_map(|(candidate, request)| {
        let uploads = candidate.offered.uploads.iter();
        uploads.map(|upload| (request.id, upload.id))
    });
    named.collect()
}

/// Fails if another request has one of the keys already.
async fn claim_keys(
    tx: &Transaction,
    open: &[Candidate<'_>],
    requests: &[request::Model],
) -> Result<(), Error> {
    let mut keys = Vec::new();
    for (candidate, request) in open.iter().zip(requests) {
        if let Some((user_id, key)) = candidate.key() {
            keys.push(idempotency_key::Model {
                user_id,
                key,
                fingerprint: candidate.intake.draft.fingerprint()?,
                request_id: request.id,
                created_at: request.created_at,
            });
        }
    }
    match keys.is_empty() || store::idempotency_key::claim(tx, keys).await? {
        true => Ok(()),
        false => Err(key_is_taken()),
    }
}

/// The other's request is the answer then.
fn key_is_taken() -> Error {
    Error::internal("an idempotency key vanished")
}

/// Keeps the uploads that requests name for as long as these are there. One that is removed meanwhile is none of the user's.
async fn sift_by_upload(
    tx: &Transaction,
    sieve: &mut Sieve<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let named = sieve.open.iter().flat_map(|it| &it.offered.uploads);
    let named = named.map(|upload| upload.id).collect();
    let left = store::upload::renew_all(tx, named, now).await?;
    sieve.sift(|candidate| {
        let uploads = &candidate.offered.uploads;
        let (left, gone): (Vec<_>, Vec<_>) = uploads.iter().partition(|it| left.contains(&it.id));
        let draft = &candidate.intake.draft;
        (!gone.is_empty()).then(|| Verdict::Refused(vanished(draft, &left)))
    });
    Ok(())
}

fn accepted(request: request::Model, jobs: Vec<job::Model>) -> Verdict {
    let mut counts = JobCounts::default();
    jobs.iter().for_each(|job| counts.add(job.status, 1));
    Verdict::Done(Box::new((Counted { request, counts }, jobs)))
}
