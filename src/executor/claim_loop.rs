//! Keeps the slots of this worker filled until the server drains, and then sees to the end of what runs.

use std::time::Duration;

use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{Error, job::Capability},
    entity::job,
    provider::Opening,
    store::{Trouble, queue::Claim},
};

use super::{
    Executor,
    run::{waited, work},
};

/// How often jobs are looked for that wait for a provider that is away and name another: that walks past all the others.
const STRANDED_PAUSE: Duration = Duration::from_secs(2);
/// The same while none is away and nothing is new: jobs of providers that cannot work here come as news.
const QUIET_PAUSE: Duration = Duration::from_secs(30);
/// How often those are looked for that have waited for the longest: by then there are more of them where jobs end fast.
const AGING_PAUSE: Duration = Duration::from_millis(50);
/// For how long a slot that is free waits for others.
const MOMENT: Duration = Duration::from_millis(2);

impl Executor {
    /// Takes jobs as slots become free. Wakes up for announced work, for a finished job, and at the poll interval.
    /// Ends when nothing runs any more; what runs is stopped once `told` says so.
    pub(super) async fn claim_loop(&self, told: CancellationToken) {
        let mut running = JoinSet::new();
        let mut turn = Turn::default();
        turn.aging.every = self.settings.aging;
        let mut trouble = Trouble::new("cannot claim jobs");
        self.resume_spooled(&mut running).await;
        while !self.app.draining.is_cancelled() {
            self.pulse.beat();
            // Before the claim, so that what comes meanwhile is not missed, and after it, so that the others know.
            self.offer(&running);
            self.fill_slots(&mut running, &mut turn, &mut trouble).await;
            self.offer(&running);
            let full = running.len() >= self.slots();
            tokio::select! {
                () = self.app.draining.cancelled() => {}
                Some(finished) = running.join_next() => {
                    log_crash(finished);
                    self.gather_slots(&mut running).await;
                }
                () = self.app.events.work(), if !full => turn.has_news = true,
                () = tokio::time::sleep(self.settings.poll_interval) => {}
            }
        }
        self.app.events.offer(Vec::new(), Vec::new(), 0);
        // Not before: a claim under way would take again what is handed back.
        let stop_the_rest = async {
            told.cancelled().await;
            self.stop.cancel();
            std::future::pending::<()>().await;
        };
        let ended = async {
            while let Some(finished) = running.join_next().await {
                log_crash(finished);
            }
        };
        tokio::select! {
            () = ended => {}
            () = stop_the_rest => {}
        }
    }

    /// Jobs end in batches, as their ends are written: one claim is for all slots that become free within a moment, or for half of
    /// them all.
    async fn gather_slots(&self, running: &mut JoinSet<()>) {
        let gathered = async {
            while running.len() > self.slots() / 2
                && let Some(finished) = running.join_next().await
            {
                log_crash(finished);
            }
        };
        // Fewer will do.
        let _ = timeout(MOMENT, gathered).await;
    }

    /// Says what could begin here now.
    fn offer(&self, running: &JoinSet<()>) {
        let (ready, unready): (Vec<_>, Vec<_>) = self
            .capabilities()
            .into_iter()
            .partition(|(_, ready)| ready.is_ok());
        let of = |all: Vec<(Capability, _)>| all.into_iter().map(|(capability, _)| capability);
        let openings = self.app.providers.openings(of(ready).collect());
        let able = openings
            .into_iter()
            .flat_map(|opening| opening.capabilities);
        let free = match self.takes_jobs() {
            true => self.free_slots(running),
            false => 0,
        };
        let events = &self.app.events;
        events.offer(able.collect(), of(unready).collect(), free);
    }

    /// Whether what would be made now could be stored, and operators let it be begun here.
    fn takes_jobs(&self) -> bool {
        !self.app.storage.is_away() && !self.spool.is_full() && !self.is_drained()
    }

    async fn fill_slots(&self, running: &mut JoinSet<()>, turn: &mut Turn, trouble: &mut Trouble) {
        while let Some(finished) = running.try_join_next() {
            log_crash(finished);
        }
        if self.free_slots(running) == 0 || !self.takes_jobs() {
            return;
        }
        let (providers, capabilities) = (&self.app.providers, self.capabilities());
        let (ready, unready): (Vec<_>, Vec<_>) = capabilities
            .into_iter()
            .partition(|(_, ready)| ready.is_ok());
        let of = |all: Vec<(Capability, _)>| all.into_iter().map(|(capability, _)| capability);
        let ready: Vec<_> = of(ready).collect();
        let away = ready.iter().filter(|it| providers.turns_away(&it.provider));
        let mut stranded: Vec<_> = away.cloned().collect();
        let some_away = !stranded.is_empty();
        stranded.extend(of(unready));
        let mut openings = providers.openings(ready);
        // Each in turn is the first to get what is free.
        turn.count = turn.count.wrapping_add(1);
        if !openings.is_empty() {
            let first = turn.count % openings.len();
            openings.rotate_left(first);
        }
        let mut may_wait = openings.is_empty();
        for Opening { capabilities, room } in openings {
            let slots = self.free_slots(running).min(room);
            let old = turn.aging.owed(Instant::now()).min(slots);
            let wanted = [(Claim::Longest, old), (Claim::Run, slots - old)];
            let taken = self.claim(running, &wanted, &capabilities, trouble).await;
            may_wait |= taken.last().is_none_or(|others| *others == slots - old);
            if let [of_old, others] = taken[..] {
                turn.aging.took_old(old, of_old);
                turn.aging.took(others);
            }
        }
        if !may_wait {
            turn.aging.took_all();
        }
        if !stranded.is_empty() && turn.looks_for_stranded(some_away, Instant::now()) {
            let wanted = [(Claim::FallBack, self.free_slots(running))];
            self.claim(running, &wanted, &stranded, trouble).await;
        }
    }

    fn free_slots(&self, running: &JoinSet<()>) -> u32 {
        let free = self.slots().saturating_sub(running.len());
        u32::try_from(free).unwrap_or(u32::MAX)
    }

    /// How many were taken for each reason; nothing is told if it could not be asked for.
    async fn claim(
        &self,
        running: &mut JoinSet<()>,
        wanted: &[(Claim, u32)],
        capabilities: &[Capability],
        trouble: &mut Trouble,
    ) -> Vec<u32> {
        if wanted.iter().all(|(_, slots)| *slots == 0) {
            return Vec::new();
        }
        let asked = Instant::now();
        let (worker_id, lease) = (&self.settings.worker_id, self.settings.lease);
        let claimed = self.app.claim(worker_id, wanted, lease, capabilities).await;
        if matches!(claimed, Err(Error::ShuttingDown)) {
            return Vec::new();
        }
        let taken = trouble.pass(claimed).unwrap_or_default();
        let counts = taken.iter().map(|jobs| u32::try_from(jobs.len()));
        let counts = counts.map(|count| count.unwrap_or(u32::MAX)).collect();
        for ((what, _), jobs) in wanted.iter().zip(taken) {
            for job in jobs {
                self.begin(running, job, *what, asked);
            }
        }
        counts
    }

    fn begin(&self, running: &mut JoinSet<()>, job: job::Model, what: Claim, asked: Instant) {
        let work = work(&job);
        let passage = match what {
            Claim::Run | Claim::Longest => self.app.providers.pass(work.provider),
            Claim::FallBack => self.app.providers.pass_beside(work.provider),
        };
        self.app.metrics.claimed(work, waited(&job));
        running.spawn(self.clone().run_job(job, passage, asked));
    }
}

/// What the loop remembers from one turn to the next.
#[derive(Default)]
struct Turn {
    count: usize,
    aging: Aging,
    looked_for_stranded: Option<Instant>,
    /// Work was announced since then.
    has_news: bool,
}

/// Sees to it that of so many jobs one is of the priority that has waited for the longest, whatever comes before it.
#[derive(Default)]
struct Aging {
    /// Of how many; 0: none.
    every: u32,
    /// Taken since the last such one.
    taken: u32,
    looked: Option<Instant>,
}

impl Aging {
    /// How many such are to be taken now; if any are, they are.
    fn owed(&mut self, now: Instant) -> u32 {
        let owed = (self.taken + 1).checked_div(self.every).unwrap_or_default();
        let is_time = self.looked.is_none_or(|looked| now >= looked + AGING_PAUSE);
        if owed == 0 || !is_time {
            return 0;
        }
        self.looked = Some(now);
        owed
    }

    /// So many such were looked for and found. Where there were fewer nothing waits for long.
    fn took_old(&mut self, asked: u32, found: u32) {
        match found < asked {
            true => self.taken = 0,
            false => self.taken = (self.taken + found).saturating_sub(asked * self.every),
        }
    }

    fn took(&mut self, others: u32) {
        self.taken = self.taken.saturating_add(others);
    }

    /// Slots are left: nothing that could begin waits, so that nothing has for long.
    fn took_all(&mut self) {
        self.taken = 0;
    }
}

impl Turn {
    /// Whether it is time to look for jobs that another provider may run; if so, they are looked for.
    fn looks_for_stranded(&mut self, some_away: bool, now: Instant) -> bool {
        let pause = match some_away || self.has_news {
            true => STRANDED_PAUSE,
            false => QUIET_PAUSE,
        };
        let is_time = self
            .looked_for_stranded
            .is_none_or(|looked| now >= looked + pause);
        if is_time {
            (self.looked_for_stranded, self.has_news) = (Some(now), false);
        }
        is_time
    }
}

/// A provider's panic is caught with its attempt, so this would be a defect of the executor itself. The job's lease runs
/// out then, and the job is rescued.
fn log_crash(finished: Result<(), tokio::task::JoinError>) {
    if let Err(error) = finished {
        tracing::error!(%error, "a job's task crashed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_ten_jobs_one_is_of_the_priority_that_has_waited() {
        let mut now = Instant::now();
        let mut aging = Aging {
            every: 10,
            ..Aging::default()
        };
        let mut old = 0;
        for _ in 0..1_000 {
            now += AGING_PAUSE;
            let owed = aging.owed(now).min(1);
            aging.took_old(owed, owed);
            aging.took(1 - owed);
            old += owed;
        }
        assert_eq!(old, 100);
        aging.took(57);
        now += AGING_PAUSE;
        assert_eq!(aging.owed(now), 5, "of many at once as many");
        assert_eq!(aging.owed(now), 0, "not again at once");
        aging.took_old(5, 2);
        now += AGING_PAUSE;
        assert_eq!(aging.owed(now), 0, "there are no more");
        aging.took(100);
        aging.took_all();
        now += AGING_PAUSE;
        assert_eq!(aging.owed(now), 0, "none has waited");
        let mut never = Aging::default();
        never.took(1_000);
        assert_eq!(never.owed(now), 0);
        let mut always = Aging {
            every: 1,
            ..Aging::default()
        };
        assert_eq!(always.owed(now), 1);
    }

    #[test]
    fn jobs_for_another_provider_are_looked_for_often_only_while_there_may_be_some() {
        let mut turn = Turn::default();
        let mut now = Instant::now();
        assert!(turn.looks_for_stranded(false, now), "what was there before");
        now += STRANDED_PAUSE;
        assert!(!turn.looks_for_stranded(false, now));
        assert!(turn.looks_for_stranded(true, now));
        turn.has_news = true;
        assert!(!turn.looks_for_stranded(false, now), "not at once");
        now += STRANDED_PAUSE;
        assert!(turn.looks_for_stranded(false, now));
        now += STRANDED_PAUSE;
        assert!(!turn.looks_for_stranded(false, now), "the news is known");
        assert!(turn.looks_for_stranded(false, now + QUIET_PAUSE));
    }
}
