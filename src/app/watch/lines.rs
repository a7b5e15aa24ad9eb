//! Where pending jobs stand in line. The head of a line is read at most once in a while for all of a process, so that neither how
//! many ask nor how much waits counts.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until};

use crate::{
    app::App,
    domain::{
        Error,
        job::{Capability, Pace, Place},
    },
    store::queue::{self, MOST_COUNTED},
};

use super::gathering::Gathering;

/// What is older is read again before anything of it is told. Less than [`Settings::watch_poll`](crate::app::Settings) of a server,
/// so that who looks that often finds what is new.
const AGE: Duration = Duration::from_millis(1_500);
/// However many new jobs are asked for that it does not have, a line is read for one part of so many of the time.
const REST: u32 = 10;
/// Who asks once waits no longer than so for the rest to be over.
const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// A line that nobody has asked for is forgotten then.
const KEPT: Duration = Duration::from_secs(60);

/// The lines that are known in this process.
#[derive(Default)]
pub(super) struct Lines {
    known: Mutex<BTreeMap<Capability, Arc<Line>>>,
    reads: Gathering<Capability, ()>,
}

/// The head of one line, as it was when it was read.
struct Line {
    positions: HashMap<i64, u32>,
    pace: Option<Pace>,
    /// By the database's clock.
    time: DateTime<Utc>,
    read_at: Instant,
    /// It is not read again before.
    rested_at: Instant,
}

/// Who asks for what is not known yet.
#[derive(Clone, Copy, Debug)]
pub enum Patience {
    /// Whoever asks once, and waits for the line's rest.
    Waits,
    /// A watch, which is told later.
    GoesOn,
}

impl Line {
    /// Whether what it says of the job is all that is known: it has the job, or the job is beyond what is counted.
    fn knows(&self, id: i64, now: Instant) -> bool {
        let is_full = self.positions.len() as u64 >= MOST_COUNTED;
        self.is_fresh(now) && (is_full || self.positions.contains_key(&id))
    }

    fn is_fresh(&self, now: Instant) -> bool {
        now.duration_since(self.read_at) < AGE
    }

    /// The database's time, without asking for it.
    fn now(&self) -> DateTime<Utc> {
        self.time + self.read_at.elapsed()
    }

    fn place(&self, id: i64) -> Option<Place> {
        let position = *self.positions.get(&id)?;
        let wait = self.pace.and_then(|pace| pace.wait(position));
        let start = wait.map(|wait| (self.time + wait).max(self.now()));
        Some(Place { position, start })
    }
}

impl Lines {
    /// Where a job stood when its line was last read; `None` if that is not known, or it stands too far behind.
    pub(super) fn place(&self, queue: &Capability, id: i64) -> Option<Place> {
        self.line(queue)?.place(id)
    }

    /// The same where it is worth a message to somebody who was told `before`.
    pub(super) fn news(&self, queue: &Capability, id: i64, before: Option<Place>) -> Option<Place> {
        let line = self.line(queue)?;
        let place = line.place(id)?;
        place.is_news(before, line.now()).then_some(place)
    }

    /// Reads the lines anew that do not say where these jobs stand. A watch finds what comes of it at its next look: a job may
    /// begin at once, and what is told of that must not wait.
    pub(super) async fn look_for(
        &self,
        app: &App,
        jobs: impl IntoIterator<Item = (Capability, i64)>,
        patience: Patience,
    ) {
        let (unknown, rested_at) = self.unknown(jobs, patience, Instant::now());
        match patience {
            _ if unknown.is_empty() => {}
            Patience::Waits => {
                sleep_until(rested_at).await;
                self.read(app, unknown, true).await;
            }
            Patience::GoesOn => {
                let app = app.clone();
                tokio::spawn(async move { app.reads.lines().read(&app, unknown, false).await });
            }
        }
    }

    /// The lines that do not say where these jobs stand and may be read soon enough, and when they may.
    fn unknown(
        &self,
        jobs: impl IntoIterator<Item = (Capability, i64)>,
        patience: Patience,
        now: Instant,
    ) -> (BTreeSet<Capability>, Instant) {
        let latest = match patience {
            Patience::Waits => now + LONGEST_WAIT,
            Patience::GoesOn => now,
        };
        let (mut unknown, mut rested_at) = (BTreeSet::new(), now);
        for (queue, id) in jobs {
            let line = self.line(&queue);
            if line.as_ref().is_some_and(|line| line.knows(id, now)) {
                continue;
            }
            let rest = line.map_or(now, |line| line.rested_at);
            if rest <= latest {
                rested_at = rested_at.max(rest);
                unknown.insert(queue);
            }
        }
        (unknown, rested_at)
    }

    /// Reads those of the lines anew that are known and are so no more.
    pub(super) async fn refresh(&self, app: &App, queues: BTreeSet<Capability>, urgent: bool) {
        let now = Instant::now();
        let is_stale = |queue: &Capability| {
            let line = self.line(queue);
            line.is_some_and(|line| !line.is_fresh(now))
        };
        let stale: BTreeSet<_> = queues.into_iter().filter(is_stale).collect();
        if !stale.is_empty() {
            self.read(app, stale, urgent).await;
        }
    }

    /// Reads these lines with whoever else asks. A database that is away tells nothing, which fails nobody: what is known stays.
    async fn read(&self, app: &App, queues: BTreeSet<Capability>, urgent: bool) {
        let app = app.clone();
        let read = move |queues| {
            let app = app.clone();
            async move { app.reads.lines().take_in(&app, queues).await }
        };
        if let Err(error) = self.reads.ask(queues, urgent, read).await {
            tracing::debug!(%error, "cannot tell where jobs stand in line");
        }
    }

    async fn take_in(
        &self,
        app: &App,
        queues: BTreeSet<Capability>,
    ) -> Result<BTreeMap<Capability, ()>, Error> {
        let (db, began) = (app.store.reader(), Instant::now());
        let paces = queue::paces(db, app.clock.queue()).await?;
        let mut heads = Vec::new();
        for queue in queues {
            let ids = queue::first_in_line(db, &queue).await?;
            heads.push((queue, ids));
        }
        let read_at = Instant::now();
        let rested_at = read_at + REST * began.elapsed();
        let mut known = self.known();
        known.retain(|_, line| line.read_at.elapsed() < KEPT);
        for (queue, ids) in heads {
            let line = Line {
                positions: ids.into_iter().zip(1..).collect(),
                pace: paces.of(&queue),
                time: paces.now,
                read_at,
                rested_at,
            };
            known.insert(queue, Arc::new(line));
        }
        Ok(BTreeMap::new())
    }

    fn line(&self, queue: &Capability) -> Option<Arc<Line>> {
        self.known().get(queue).cloned()
    }

    /// A panic cannot leave it half changed.
    fn known(&self) -> MutexGuard<'_, BTreeMap<Capability, Arc<Line>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::MediaType;

    const MOMENT: Duration = Duration::from_millis(1);

    fn queue() -> Capability {
        Capability {
            provider: "builtin".to_owned(),
            category: MediaType::Image,
        }
    }

    /// A line of so many, the ids of which are their positions, that has just been read and rests for so long.
    fn known(length: u32, rest: Duration) -> (Lines, Instant) {
        let (lines, now) = (Lines::default(), Instant::now());
        let line = Line {
            positions: (1..=length).map(|place| (place.into(), place)).collect(),
            pace: None,
            time: DateTime::UNIX_EPOCH,
            read_at: now,
            rested_at: now + rest,
        };
        lines.known().insert(queue(), Arc::new(line));
        (lines, now)
    }

    fn is_read(lines: &Lines, id: i64, patience: Patience, now: Instant) -> bool {
        let (unknown, at) = lines.unknown([(queue(), id)], patience, now);
        assert!(at >= now);
        !unknown.is_empty()
    }

    #[test]
    fn whoever_is_in_the_line_has_it_read_again_when_it_is_old() {
        use Patience::{GoesOn, Waits};
        let (lines, now) = known(3, MOMENT);
        for patience in [GoesOn, Waits] {
            assert!(!is_read(&lines, 3, patience, now + AGE - MOMENT));
            assert!(is_read(&lines, 3, patience, now + AGE));
        }
        assert!(is_read(&Lines::default(), 3, GoesOn, now));
    }

    #[test]
    fn whoever_is_new_has_the_line_read_when_it_has_rested_and_only_who_asks_once_waits_for_that() {
        use Patience::{GoesOn, Waits};
        let (lines, now) = known(3, LONGEST_WAIT);
        assert!(!is_read(&lines, 4, GoesOn, now) && is_read(&lines, 4, Waits, now));
        let (_, at) = lines.unknown([(queue(), 4)], Waits, now);
        assert_eq!(at, now + LONGEST_WAIT);
        assert!(is_read(&lines, 4, GoesOn, now + LONGEST_WAIT));
        let (lines, now) = known(3, LONGEST_WAIT + MOMENT);
        assert!(!is_read(&lines, 4, Waits, now));
    }

    #[test]
    fn whoever_stands_beyond_what_is_counted_does_not_have_it_read_again_and_again() {
        let most = u32::try_from(MOST_COUNTED).unwrap();
        let (lines, now) = known(most, MOMENT);
        assert!(!is_read(
            &lines,
            i64::from(most) + 1,
            Patience::Waits,
            now + MOMENT
        ));
        assert!(is_read(
            &lines,
            i64::from(most) + 1,
            Patience::Waits,
            now + AGE
        ));
    }
}
