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
use crate::support::bench::LEASE;

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

    /// The service chooses the tokens; which jobs it takes, and which it holds, the model knows.
    pub(crate) fn claim(&mut self, slots: u32, taken: &[job::Model]) -> Result<(), String> {
        let now = self.now;
        let mut begun: BTreeSet<i64> = BTreeSet::new();
        if self.feature_is_paused && !self.is_paused {
            self.set_aside();
        }
        while !self.is_paused {
            let next = self.due().filter(|id| !begun.contains(id));
            let next: Vec<i64> = next.take(slots as usize - begun.len()).collect();
            let mut full = false;
            for id in next {
                let is_limited = self.jobs[&id].user == LIMITED;
                match is_limited && self.running_with(&begun) >= LIMIT {
                    true => full = true,
                    false => drop(begun.insert(id)),
                }
            }
            if !full {
                break;
            }
            let surplus = self.due().filter(|id| !begun.contains(id));
            let surplus = surplus.filter(|id| self.jobs[id].user == LIMITED);
            let surplus: Vec<i64> = surplus.collect();
            self.held.extend(surplus);
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

    fn set_aside(&mut self) {
        for id in self.due().collect::<Vec<_>>() {
            self.job(id).set_aside = true;
        }
    }

    /// What a claim finds, in order.
    fn due(&self) -> impl Iterator<Item = i64> + use<> {
        let waits = |(id, job): &(&i64, &Job)| {
            let is_ready = !job.parked && !job.set_aside && !self.held.contains(*id);
            job.status == JobStatus::Pending && is_ready && job.run_after <= self.now
        };
        let due = self.jobs.iter().filter(waits);
        let mut due: Vec<i64> = due.map(|(id, _)| *id).collect();
        due.sort_by_key(|id| (Reverse(self.jobs[id].priority), self.jobs[id].turn, *id));
        due.into_iter()
    }

    /// How many of the user with a limit run, with those that are about to.
    fn running_with(&self, begun: &BTreeSet<i64>) -> u32 {
        let running = self.jobs.iter().filter(|(id, job)| {
            job.user == LIMITED && (job.status == JobStatus::Processing || begun.contains(id))
        });
        u32::try_from(running.count()).unwrap()
    }

    /// Jobs are held by claims only. What lets go how many of them, the model does not say, but that none is left while there is
    /// room.
    pub(crate) fn settle_held(
        &mut self,
        found: BTreeSet<i64>,
        step: &Operation,
    ) -> Result<(), String> {
        let live = |id: &i64| {
            self.jobs
                .get(id)
                .is_some_and(|job| job.status == JobStatus::Pending)
        };
        let found: BTreeSet<i64> = found.into_iter().filter(live).collect();
        let expected: BTreeSet<i64> = self.held.iter().copied().filter(live).collect();
        if matches!(step, Operation::Claim(_)) {
            same(&found, &expected)?;
        }
        same(found.is_subset(&expected), true)?;
        self.held = found;
        let is_full = self.running_with(&BTreeSet::new()) >= LIMIT;
        let is_next = |(id, job): (&i64, &Job)| {
            let waits = job.status == JobStatus::Pending && !job.parked;
            job.user == LIMITED && waits && !self.held.contains(id)
        };
        let is_served = self.held.is_empty() || is_full || self.jobs.iter().any(is_next);
        is_served
            .then_some(())
            .ok_or_else(|| format!("{:?} are held for nothing", self.held))
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
