//! Whether a provider gets jobs now: by its limits, and by what became of its last submissions. A state machine without a
//! clock: whoever asks says what time it is.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{Provider, ProviderError, Submitted, Task};
use crate::config::ProviderLimits;

/// So many failures one after the other, and the provider is away.
const FAILURES: u32 = 5;
/// Pauses between the trials of a provider that is away: each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Longest time that a service may ask to be left alone.
const LONGEST_REST: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

/// What a submission tells of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It answers, be it with a refusal.
    Answer,
    /// It does not work.
    Failure,
    /// It asks to be left alone for so long.
    Rest(Duration),
    /// Nothing about it.
    Nothing,
}

impl Heard {
    pub(super) fn of<T>(outcome: &Result<T, ProviderError>) -> Self {
        match outcome {
            Err(ProviderError::Transient {
                retry_after: Some(rest),
                ..
            }) if !rest.is_zero() => Self::Rest(*rest),
            Err(
                ProviderError::Transient { .. }
                | ProviderError::Unavailable(_)
                | ProviderError::OutcomeUnknown(_)
                | ProviderError::TimedOut { .. },
            ) => Self::Failure,
            Ok(_) | Err(ProviderError::Rejected(_) | ProviderError::UnfitInput(_)) => Self::Answer,
            Err(ProviderError::NotReady(unready)) if unready.lack.is_told_by_service() => {
                Self::Answer
            }
            Err(_) => Self::Nothing,
        }
    }
}

/// Lets the jobs of one provider pass, or not.
#[derive(Debug, Default)]
pub(super) struct Gate {
    limits: ProviderLimits,
    /// Processes that share what all of them may run, this one among them; 0 is this one alone.
    workers: u32,
    running: u32,
    /// When jobs began, within the last minute; empty where that does not count.
    begun: VecDeque<Instant>,
    /// The service asked to be left alone until then.
    rests_until: Option<Instant>,
    failures: u32,
    /// While it is away: when one job may try it.
    next_trial: Option<Instant>,
    /// That job runs.
    on_trial: bool,
}

impl Gate {
    pub(super) fn new(limits: ProviderLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// How many jobs may begin now.
    pub(super) fn room(&self, now: Instant) -> u32 {
        let most = match self.next_trial {
            _ if self.rests_until.is_some_and(|end| now < end) => 0,
            Some(_) if self.on_trial => 0,
            Some(trial) => u32::from(now >= trial),
            None => u32::MAX,
        };
        let recent = self.begun.iter().filter(|begun| now < **begun + MINUTE);
        let recent = u32::try_from(recent.count()).unwrap_or(u32::MAX);
        most.min(left(self.concurrency(), self.running))
            .min(left(self.requests_per_minute(), recent))
    }

    /// So many processes share from now on what all of them may run.
    pub(super) fn share_among(&mut self, workers: u32) {
        self.workers = workers;
    }

    /// Whether there is anything to share.
    pub(super) fn is_shared(&self) -> bool {
        self.limits.total_concurrency > 0 || self.limits.total_requests_per_minute > 0
    }

    /// Jobs that run here at a time; 0 is no limit.
    fn concurrency(&self) -> u32 {
        let share = part_of(self.limits.total_concurrency, self.workers);
        stricter(self.limits.concurrency, share)
    }

    /// Jobs that are begun here within a minute; 0 is no limit.
    fn requests_per_minute(&self) -> u32 {
        let share = part_of(self.limits.total_requests_per_minute, self.workers);
        stricter(self.limits.requests_per_minute, share)
    }

    /// A job begins, for which there was room; whether it is the one that tries a provider that is away.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        self.running += 1;
        if self.requests_per_minute() > 0 {
            self.begun.retain(|begun| now < *begun + MINUTE);
            self.begun.push_back(now);
        }
        let tries = self.is_away() && !self.on_trial;
        self.on_trial |= tries;
        tries
    }

    /// A job has ended that began.
    pub(super) fn end(&mut self, trial: bool) {
        self.running = self.running.saturating_sub(1);
        self.on_trial &= !trial;
    }

    /// What the submission of a job tells; `trial` is what [`Self::begin`] said of it.
    pub(super) fn hear(&mut self, heard: Heard, trial: bool, now: Instant) {
        match heard {
            Heard::Nothing => {}
            Heard::Answer => {
                (self.failures, self.next_trial) = (0, None);
            }
            Heard::Rest(rest) => {
                let end = now + rest.min(LONGEST_REST);
                self.rests_until = self.rests_until.max(Some(end));
            }
            // Jobs that had begun before fail late, and tell nothing new.
            Heard::Failure if self.is_away() && !trial => {}
            Heard::Failure => {
                self.failures = self.failures.saturating_add(1);
                if let Some(more) = self.failures.checked_sub(FAILURES) {
                    let pause = FIRST_PAUSE.saturating_mul(1 << more.min(16));
                    self.next_trial = Some(now + pause.min(LONGEST_PAUSE));
                }
            }
        }
    }

    /// Whether it has failed so often that only trials are made.
    pub(super) fn is_away(&self) -> bool {
        self.next_trial.is_some()
    }

    /// Whether jobs that others could make need not wait for it: it is away, or asked to be left alone.
    pub(super) fn turns_away(&self, now: Instant) -> bool {
        self.is_away() || self.rests_until.is_some_and(|end| now < end)
    }

    /// When it may begin a job again that has begun all that it may within a minute.
    fn minute_ends(&self, now: Instant) -> Option<Instant> {
        let before = usize::try_from(self.requests_per_minute()).ok()?;
        let begun = self.begun.iter().rev().nth(before.checked_sub(1)?)?;
        Some(*begun + MINUTE).filter(|end| now < *end)
    }

    /// Why it gets no jobs although it could run them, in words that follow the name of the generator.
    pub(super) fn closed(&self, now: Instant) -> Option<String> {
        let seconds = |end: Instant| end.saturating_duration_since(now).as_secs() + 1;
        match (self.rests_until.filter(|end| now < *end), self.next_trial) {
            (Some(end), _) => Some(format!(
                "asked not to be called for {} more seconds",
                seconds(end)
            )),
            (None, Some(trial)) if now < trial => Some(format!(
                "does not answer; it is tried again in {} seconds",
                seconds(trial)
            )),
            (None, Some(_)) => Some("does not answer; it is being tried again".to_owned()),
            (None, None) if self.room(now) > 0 => None,
            (None, None) => Some(match self.minute_ends(now) {
                Some(end) => format!(
                    "has begun as many jobs as it may within a minute; the next begins in {} seconds",
                    seconds(end)
                ),
                None => "is running as many jobs as it may".to_owned(),
            }),
        }
    }
}

/// What each of so many processes gets of a limit that they share, of which 0 is none: the whole part of an equal share, and one at
/// least.
pub fn part_of(limit: u32, workers: u32) -> u32 {
    match limit {
        0 => 0,
        limit => (limit / workers.max(1)).max(1),
    }
}

/// The stricter of two limits, of which 0 is none.
fn stricter(one: u32, other: u32) -> u32 {
    match (one, other) {
        (0, limit) | (limit, 0) => limit,
        (one, other) => one.min(other),
    }
}

/// What is left of a limit, of which 0 is none.
fn left(limit: u32, used: u32) -> u32 {
    match limit {
        0 => u32::MAX,
        limit => limit.saturating_sub(used),
    }
}

/// The gate of one provider, which all of its jobs in this process pass.
#[derive(Clone, Debug)]
pub(super) struct SharedGate(Arc<Mutex<Gate>>);

impl SharedGate {
    pub(super) fn new(limits: ProviderLimits) -> Self {
        Self(Arc::new(Mutex::new(Gate::new(limits))))
    }

    /// What is in it is whole between two calls.
    pub(super) fn lock(&self) -> MutexGuard<'_, Gate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a job holds that has passed the gate of its provider, until its output is there or it ends.
#[derive(Debug)]
pub struct Passage {
    gate: Option<SharedGate>,
    /// It has taken room.
    counts: AtomicBool,
    trial: bool,
    /// The provider was asked and has not answered.
    unanswered: AtomicBool,
}

impl Passage {
    /// Of a job that has room.
    pub(super) fn begin(gate: &SharedGate) -> Self {
        Self {
            trial: gate.lock().begin(Instant::now()),
            counts: AtomicBool::new(true),
            gate: Some(gate.clone()),
            unanswered: AtomicBool::new(false),
        }
    }

    /// Of a job that only looks for another provider.
    pub(super) fn beside(gate: Option<&SharedGate>) -> Self {
        Self {
            gate: gate.cloned(),
            counts: AtomicBool::new(false),
            trial: false,
            unanswered: AtomicBool::new(false),
        }
    }

    /// Gives back the room that it has taken, since the provider has no part in the rest of the job. Whether another job may
    /// have waited for that.
    pub fn leave(&self) -> bool {
        let counted = self.counts.swap(false, Ordering::Relaxed);
        let Some(gate) = self.gate.as_ref().filter(|_| counted) else {
            return false;
        };
        let mut gate = gate.lock();
        gate.end(self.trial);
        self.trial || gate.concurrency() > 0
    }

    /// Whether the job is the one that tries a provider that is away.
    pub fn is_trial(&self) -> bool {
        self.trial
    }

    /// Whether the provider is away, and another job than this one tries it, if any does.
    pub fn is_shut(&self) -> bool {
        let away = |gate: &SharedGate| gate.lock().is_away();
        !self.trial && self.gate.as_ref().is_some_and(away)
    }

    /// The same, or asked to be left alone.
    pub fn is_turned_away(&self) -> bool {
        let turns_away = |gate: &SharedGate| gate.lock().turns_away(Instant::now());
        !self.trial && self.gate.as_ref().is_some_and(turns_away)
    }

    /// Submits the job, and tells what became of that.
    pub async fn submit(
        &self,
        provider: &dyn Provider,
        task: &Task,
    ) -> Result<Submitted, ProviderError> {
        self.unanswered.store(true, Ordering::Relaxed);
        let submitted = provider.submit(task).await;
        self.unanswered.store(false, Ordering::Relaxed);
        self.tell(&submitted);
        submitted
    }

    /// Tells that the time of the attempt is up, which counts if the provider owes the answer to a submission.
    pub fn tell_time_is_up(&self, limit: Duration) {
        if self.unanswered.load(Ordering::Relaxed) {
            let detail = "no answer to the submission".to_owned();
            self.tell::<()>(&Err(ProviderError::TimedOut { limit, detail }));
        }
    }

    /// Tells what became of a call that submits the job, or tries whether it could be.
    pub fn tell<T>(&self, outcome: &Result<T, ProviderError>) {
        if let Some(gate) = &self.gate {
            let heard = Heard::of(outcome);
            gate.lock().hear(heard, self.trial, Instant::now());
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests;
