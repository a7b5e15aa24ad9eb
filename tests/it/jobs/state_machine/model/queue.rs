//! What waits, in which order, and what a claim takes of it.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use atelier::domain::JobStatus;
use atelier::entity::job;
use atelier::store::queue::Lease;

use super::{Job, Model};
use crate::jobs::state_machine::operation::{LIMIT, LIMITED, Operation};
use crate::jobs::state_machine::same;
use crate::jobs::state_machine::snapshot::Snapshot;
use crate::support::bench::LEASE;

/// How often a claim looks again, as the queue has it.
const ROUNDS: u32 = 8;

impl Model {
    /// The turn of the next job of a user: behind all of his that wait with this priority, and not before what is next of all.
    pub(super) fn line(&self, user: i64, priority: i32) -> Option<i64> {
        let waiting = self.jobs.iter();
        let waiting = waiting.filter(|(_, job)| job.status == JobStatus::Pending && !job.set_aside);
        let waiting = waiting.filter(|(_, job)| job.priority == priority);
        let own = waiting.clone().filter(|(_, job)| job.user == user);
        let last = own.map(|(_, job)| job.turn + 1).max();
        let ready = waiting.filter(|(id, job)| !job.parked && !self.held.contains(id));
        last.max(ready.map(|(_, job)| job.turn).min())
    }

    /// The service chooses the tokens; which jobs it takes, and which it holds and sets aside, the model knows.
    pub(crate) fn claim(&mut self, slots: u32, taken: &[job::Model]) -> Result<(), String> {
        let now = self.now;
        let mut begun: BTreeSet<i64> = BTreeSet::new();
        let mut rounds = 0;
        while !self.is_paused && rounds < ROUNDS && begun.len() < slots as usize {
            rounds += 1;
            if !self.claim_round(slots as usize, &mut begun) {
                break;
            }
        }
        let due: Vec<i64> = self.due().filter(|id| begun.contains(id)).collect();
        same(taken.iter().map(|job| job.id).collect(), due)?;
        for taken in taken {
            let token = taken.lease_token.clone().unwrap();
            self.attempts.push(Lease {
                job_id: taken.id,
                token: token.clone(),
            });
            let job = self.job(taken.id);
            job.attempt += 1;
            job.lease = Some((token, now + LEASE));
            job.started_at = Some(now);
            job.error = None;
            job.record(JobStatus::Processing);
        }
        self.settle(None);
        Ok(())
    }

    /// Begins what may begin of the first jobs. Whether others may be first now, since some of these are out of the queue.
    fn claim_round(&mut self, slots: usize, begun: &mut BTreeSet<i64>) -> bool {
        let next = self.due().filter(|id| !begun.contains(id));
        let next: Vec<i64> = next.take(slots - begun.len()).collect();
        let (paused, others): (Vec<i64>, Vec<i64>) = next
            .into_iter()
            .partition(|id| self.feature_is_paused && self.is_of_feature(*id));
        let (mut user_is_full, mut feature_is_full, mut is_passed_over) = (false, false, false);
        for id in others.iter().copied() {
            let is_bounded = self.limit.is_some() && self.is_of_feature(id);
            if self.jobs[&id].user == LIMITED && self.running_of_user(begun) >= LIMIT {
                user_is_full = true;
                is_passed_over |= is_bounded;
            } else if is_bounded && self.room_of_feature(begun) == 0 {
                feature_is_full = true;
            } else {
                begun.insert(id);
            }
        }
        let mut is_other = !paused.is_empty();
        self.set_aside(&paused, begun);
        if feature_is_full {
            is_other = true;
            self.set_aside(&others, begun);
        }
        if user_is_full {
            is_other = true;
            let surplus = self.due().filter(|id| !begun.contains(id));
            let surplus = surplus.filter(|id| self.jobs[id].user == LIMITED);
            let surplus: Vec<i64> = surplus.collect();
            self.held.extend(surplus);
        }
        if is_passed_over {
            self.let_back(LIMITED, begun);
        }
        is_other
    }

    /// Takes what waits of the feature out of the queue that has the priority of one of its `met` jobs.
    fn set_aside(&mut self, met: &[i64], begun: &BTreeSet<i64>) {
        let of_feature = met.iter().filter(|id| self.is_of_feature(**id));
        let priorities: BTreeSet<i32> = of_feature.map(|id| self.jobs[id].priority).collect();
        for id in self.due().collect::<Vec<_>>() {
            let is_near = priorities.contains(&self.jobs[&id].priority);
            if is_near && self.is_of_feature(id) && !begun.contains(&id) {
                self.job(id).set_aside = true;
            }
        }
    }

    /// A job has left its worker, alone: others of the feature come back, unless that is paused.
    pub(crate) fn leave_place(&mut self, id: i64) {
        if self.is_of_feature(id) && !self.feature_is_paused {
            self.let_back(self.jobs[&id].user, &BTreeSet::new());
        }
    }

    /// Lets as many jobs of the feature back as may begin: of the highest priority those of the users come next who come after
    /// `last`, one of each.
    fn let_back(&mut self, mut last: i64, begun: &BTreeSet<i64>) {
        for _ in 0..self.room_of_feature(begun) {
            let aside = self.jobs.iter().filter(|(_, job)| job.is_aside());
            let turn = |(id, job): &(&i64, &Job)| {
                let user = (job.user <= last, job.user);
                (Reverse(job.priority), user, job.turn, **id)
            };
            let Some((id, user)) = aside.min_by_key(turn).map(|(id, job)| (*id, job.user)) else {
                return;
            };
            self.job(id).set_aside = false;
            last = user;
        }
    }

    /// What a claim finds, in order.
    fn due(&self) -> impl Iterator<Item = i64> + use<> {
        let waits =
            |(id, job): &(&i64, &Job)| self.is_ready(**id, job) && job.run_after <= self.now;
        let due = self.jobs.iter().filter(waits);
        let mut due: Vec<i64> = due.map(|(id, _)| *id).collect();
        due.sort_by_key(|id| (Reverse(self.jobs[id].priority), self.jobs[id].turn, *id));
        due.into_iter()
    }

    /// Whether it is in the queue.
    fn is_ready(&self, id: i64, job: &Job) -> bool {
        let is_out = job.parked || job.set_aside || self.held.contains(&id);
        job.status == JobStatus::Pending && !is_out
    }

    fn is_of_feature(&self, id: i64) -> bool {
        self.jobs[&id].feature == self.feature
    }

    /// How many of the user with a limit run, with those that are about to.
    fn running_of_user(&self, begun: &BTreeSet<i64>) -> usize {
        self.running(begun, |job| job.user == LIMITED)
    }

    /// How many more of the feature may begin beside those that run, or are about to.
    fn room_of_feature(&self, begun: &BTreeSet<i64>) -> usize {
        let running = self.running(begun, |job| job.feature == self.feature);
        self.limit
            .map_or(usize::MAX, |limit| limit.saturating_sub(running))
    }

    fn running(&self, begun: &BTreeSet<i64>, of: impl Fn(&Job) -> bool) -> usize {
        let running = self.jobs.iter().filter(|(id, job)| {
            of(job) && (job.status == JobStatus::Processing || begun.contains(id))
        });
        running.count()
    }

    /// Jobs are held and set aside by claims only. What lets go how many of them, the model does not say, but for those of the
    /// feature where one attempt ends alone, and that none is left while there is room.
    pub(crate) fn settle_out(&mut self, found: &Snapshot, step: &Operation) -> Result<(), String> {
        let is_claim = matches!(step, Operation::Claim(_));
        let waits = |id: &i64| self.jobs.get(id).is_some_and(Job::waits);
        let held: BTreeSet<i64> = self.held.iter().copied().filter(waits).collect();
        self.held = left(&held, found.waiting(|job| job.held), is_claim)?;
        let aside = self.jobs.iter().filter(|(_, job)| job.is_aside());
        let aside: BTreeSet<i64> = aside.map(|(id, _)| *id).collect();
        let is_known = is_claim || self.feature_is_paused || matches!(step, Operation::Attempt(..));
        let found_aside = left(&aside, found.waiting(|job| job.paused), is_known)?;
        for id in aside.difference(&found_aside) {
            self.job(*id).set_aside = false;
        }
        self.assert_none_is_held_for_nothing()?;
        self.assert_none_is_aside_for_nothing(&found_aside)
    }

    fn assert_none_is_held_for_nothing(&self) -> Result<(), String> {
        let is_full = self.running_of_user(&BTreeSet::new()) >= LIMIT;
        let is_next = |(id, job): (&i64, &Job)| {
            let waits = job.waits() && !job.parked;
            job.user == LIMITED && waits && !self.held.contains(id)
        };
        let is_served = self.held.is_empty() || is_full || self.jobs.iter().any(is_next);
        is_served
            .then_some(())
            .ok_or_else(|| format!("{:?} are held for nothing", self.held))
    }

    /// As many of the feature stand in the queue as may begin, while some are out of it.
    fn assert_none_is_aside_for_nothing(&self, aside: &BTreeSet<i64>) -> Result<(), String> {
        let ready = self.jobs.iter();
        let ready = ready.filter(|(id, job)| self.is_ready(**id, job) && self.is_of_feature(**id));
        let is_served = ready.count() >= self.room_of_feature(&BTreeSet::new());
        (aside.is_empty() || self.feature_is_paused || is_served)
            .then_some(())
            .ok_or_else(|| format!("{aside:?} are set aside for nothing"))
    }

    /// How long until the next pause ends.
    pub(crate) fn unpark(&mut self) -> Option<Duration> {
        let now = self.now;
        let waiting = self.jobs.values_mut();
        let parked = waiting.filter(|job| job.status == JobStatus::Pending && job.parked);
        let mut next = None;
        for job in parked {
            job.parked = job.run_after > now;
            if job.parked {
                let left = (job.run_after - now).to_std().unwrap();
                next = Some(next.map_or(left, |next| left.min(next)));
            }
        }
        next
    }
}

/// What is out of the queue of what may still be: exactly that where it `is_known`.
fn left(
    out: &BTreeSet<i64>,
    found: BTreeSet<i64>,
    is_known: bool,
) -> Result<BTreeSet<i64>, String> {
    if is_known {
        same(&found, out)?;
    }
    same(found.is_subset(out), true)?;
    Ok(found)
}

impl Job {
    fn waits(&self) -> bool {
        self.status == JobStatus::Pending
    }

    fn is_aside(&self) -> bool {
        self.set_aside && self.waits()
    }
}
