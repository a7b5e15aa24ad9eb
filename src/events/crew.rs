//! Who works: so that a wake-up goes to one worker for as many jobs as there are, and not to all.
//!
//! Each worker tells the others what it runs and how much it could begin. What is known of that may be outdated: a worker that
//! is full passes the work on to one that has not done so yet, and all look for work by themselves now and then.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    domain::job::Capability,
    store::wake_up::{Offer, WakeUp},
};

/// How often a worker tells what it has to offer although that is the same as before.
const OFFER_INTERVAL: Duration = Duration::from_secs(10);
/// A worker that nothing was heard of for so long may be gone.
const FRESH: Duration = Duration::from_secs(120);

/// The workers of all processes, as far as one knows them.
#[derive(Debug, Default)]
pub(super) struct Crew {
    /// That of this process, if it runs jobs.
    own: Option<Own>,
    others: BTreeMap<u64, Member>,
}

#[derive(Debug)]
struct Own {
    able: Vec<Capability>,
    free: u32,
    /// What it would run if it did not lack something: it gives such jobs to another provider.
    unready: Vec<Capability>,
    offered: Instant,
    /// Whether the others have been told what it runs.
    is_told: bool,
}

#[derive(Debug)]
struct Member {
    able: Vec<Capability>,
    /// How many jobs it could begin, less those that it was told of since.
    free: i64,
    heard: Instant,
}

/// Who is told of work.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Whether the worker of this process is.
    pub(super) own: bool,
    /// What the others are told.
    pub(super) others: WakeUp,
}

impl Crew {
    /// What the worker of this process has to offer now: so many jobs of what it is able to run. Returns whether the others are
    /// to hear of it.
    pub(super) fn offer(
        &mut self,
        able: Vec<Capability>,
        unready: Vec<Capability>,
        free: u32,
    ) -> bool {
        let now = Instant::now();
        let before = self
            .own
            .take()
            .filter(|own| own.able == able && now.duration_since(own.offered) < OFFER_INTERVAL);
        // One that was full may have been passed over.
        let has_room = free > 0 && before.as_ref().is_some_and(|own| own.free == 0);
        let is_news = before.is_none() || has_room;
        self.own = Some(Own {
            able,
            free,
            unready,
            offered: before.as_ref().map_or(now, |own| own.offered),
            is_told: before.is_some_and(|own| own.is_told),
        });
        is_news
    }

    /// What the others are told of the worker of this process, whatever else they are told.
    pub(super) fn own_offer(&mut self) -> Option<Offer> {
        let own = self.own.as_mut()?;
        let is_told = std::mem::replace(&mut own.is_told, true);
        Some(Offer {
            able: (!is_told).then(|| own.able.clone()),
            free: own.free,
        })
    }

    /// What another process tells of its worker.
    pub(super) fn hear(&mut self, origin: u64, Offer { able, free }: Offer) {
        let heard = Instant::now();
        let free = i64::from(free);
        match able {
            Some(able) if able.is_empty() => {
                self.others.remove(&origin);
            }
            Some(able) => {
                self.others.insert(origin, Member { able, free, heard });
            }
            None => {
                if let Some(member) = self.others.get_mut(&origin) {
                    (member.free, member.heard) = (free, heard);
                }
            }
        }
    }

    /// Whom to tell of work of this process.
    pub(super) fn tell(&mut self, origin: u64, wake_up: &WakeUp) -> Told {
        if wake_up.due.is_empty() {
            return Told {
                own: wake_up.work,
                others: WakeUp {
                    work: wake_up.work,
                    ..WakeUp::default()
                },
            };
        }
        let mut left = wake_up.due.clone();
        let own = !wake_up.leaves && self.take(&mut left);
        let mut passed = wake_up.passed.clone();
        passed.push(origin);
        let others = self.choose(left, passed, !wake_up.leaves);
        Told { own, others }
    }

    /// What becomes of work that another process tells of.
    pub(super) fn answer(&mut self, origin: u64, wake_up: &WakeUp) -> Told {
        let is_meant = wake_up.to.is_empty() || wake_up.to.contains(&origin);
        if !wake_up.work || !is_meant {
            return Told::default();
        }
        if wake_up.due.is_empty() {
            let full = self.own.as_ref().is_some_and(|own| own.free == 0);
            return Told {
                own: !full,
                ..Told::default()
            };
        }
        let mut left = wake_up.due.clone();
        let own = self.take(&mut left);
        // Whoever could run it has heard the same.
        if wake_up.to.is_empty() || own {
            return Told {
                own,
                ..Told::default()
            };
        }
        let mut passed = wake_up.passed.clone();
        passed.push(origin);
        let others = self.choose(left, passed, false);
        Told { own, others }
    }

    /// Has the worker of this process take what it can of the work; whether it is anything.
    fn take(&mut self, left: &mut Vec<(Capability, u32)>) -> bool {
        let Some(own) = &mut self.own else {
            return false;
        };
        let mut takes = false;
        for (kind, jobs) in left.iter_mut() {
            takes |= own.unready.contains(kind) && own.free > 0;
            if own.able.contains(kind) {
                let taken = own.free.min(*jobs);
                own.free -= taken;
                *jobs -= taken;
                takes |= taken > 0;
            }
        }
        left.retain(|(_, jobs)| *jobs > 0);
        takes
    }

    /// What the others are told of this work: those that have something free, or all if nobody is known to run it. If all seem
    /// full they look for more by themselves as soon as they are not; of work that is new one of them is told all the same.
    fn choose(&mut self, due: Vec<(Capability, u32)>, passed: Vec<u64>, is_new: bool) -> WakeUp {
        self.others
            .retain(|_, member| member.heard.elapsed() < FRESH);
        let (mut to, mut told) = (BTreeSet::new(), Vec::new());
        let mut is_known = true;
        for (kind, jobs) in due {
            let is_able = |member: &Member| member.able.contains(&kind);
            is_known &= self.others.values().any(is_able);
            let mut left = i64::from(jobs);
            let mut able: Vec<_> = self.others.iter_mut().collect();
            able.retain(|(origin, member)| {
                is_able(member) && !passed.contains(origin) && (is_new || member.free > 0)
            });
            able.sort_by_key(|(_, member)| std::cmp::Reverse(member.free));
            for (origin, member) in able {
                if left <= 0 {
                    break;
                }
                // One that seems full may have something free by now.
                let taken = member.free.max(1).min(left);
                member.free -= taken;
                left -= taken;
                to.insert(*origin);
            }
            told.push((kind, jobs));
        }
        match (told.is_empty() || (is_known && to.is_empty()), is_known) {
            (true, _) => WakeUp::default(),
            (false, true) => WakeUp {
                work: true,
                due: told,
                to: to.into_iter().collect(),
                passed,
                ..WakeUp::default()
            },
            (false, false) => WakeUp {
                work: true,
                due: told,
                ..WakeUp::default()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::MediaType;

    use super::*;

    const OWN: u64 = 1;

    fn drawing() -> Capability {
        Capability {
            provider: "builtin".to_owned(),
            category: MediaType::Image,
        }
    }

    fn offer(free: u32) -> Offer {
        Offer {
            able: Some(vec![drawing()]),
            free,
        }
    }

    fn crew_with(free: u32) -> Crew {
        let mut crew = Crew::default();
        crew.offer(vec![drawing()], Vec::new(), free);
        crew
    }

    fn due(jobs: u32) -> WakeUp {
        let mut wake_up = WakeUp::default();
        wake_up.add_due(drawing(), jobs);
        wake_up
    }

    #[test]
    fn the_worker_of_the_process_takes_what_it_can_and_the_others_hear_of_the_rest() {
        let mut crew = crew_with(2);
        for other in [2, 3] {
            crew.hear(other, offer(4));
        }
        let told = crew.tell(OWN, &due(1));
        assert_eq!((told.own, told.others), (true, WakeUp::default()));
        let told = crew.tell(OWN, &due(3));
        assert!(told.own);
        assert_eq!(told.others.due, [(drawing(), 2)]);
        assert_eq!(told.others.to.len(), 1);
        let told = crew.tell(OWN, &due(6));
        assert_eq!((told.own, told.others.to), (false, vec![2, 3]));
    }

    #[test]
    fn as_many_are_told_as_there_are_jobs_and_each_in_turn() {
        let mut crew = Crew::default();
        for other in 2..10 {
            crew.hear(other, offer(1));
        }
        let mut told = BTreeSet::new();
        for _ in 0..8 {
            let to = crew.tell(OWN, &due(1)).others.to;
            assert_eq!(to.len(), 1);
            told.extend(to);
        }
        assert_eq!(told.len(), 8);
        assert_eq!(crew.tell(OWN, &due(1)).others.to.len(), 1);
    }

    #[test]
    fn a_full_worker_passes_work_on_to_one_that_is_not_and_has_not_done_so() {
        let mut crew = crew_with(0);
        crew.hear(2, offer(1));
        crew.hear(3, offer(0));
        let sent = WakeUp {
            to: vec![OWN],
            passed: vec![9],
            ..due(1)
        };
        let told = crew.answer(OWN, &sent);
        assert!(!told.own);
        assert_eq!(
            (told.others.to, told.others.passed),
            (vec![2], vec![9, OWN])
        );
        let sent = WakeUp {
            passed: vec![9, 2],
            ..sent
        };
        assert_eq!(crew.answer(OWN, &sent), Told::default());
    }

    #[test]
    fn who_is_not_meant_or_cannot_run_it_or_is_full_does_nothing() {
        let mut crew = crew_with(3);
        let to_another = WakeUp {
            to: vec![7],
            ..due(1)
        };
        assert_eq!(crew.answer(OWN, &to_another), Told::default());
        let of_another_kind = Capability {
            provider: "other".to_owned(),
            ..drawing()
        };
        let mut unknown = WakeUp::default();
        unknown.add_due(of_another_kind.clone(), 1);
        assert_eq!(crew.answer(OWN, &unknown), Told::default());
        assert!(crew.answer(OWN, &due(1)).own);
        crew.offer(vec![drawing()], vec![of_another_kind], 3);
        assert!(
            crew.answer(OWN, &unknown).own,
            "it gives it to another provider"
        );
        crew.offer(vec![drawing()], Vec::new(), 0);
        assert_eq!(crew.answer(OWN, &due(1)), Told::default());
        let any = WakeUp::of_any_work();
        assert_eq!(crew.answer(OWN, &any), Told::default());
    }

    #[test]
    fn what_nobody_is_known_to_run_is_told_to_all() {
        let mut crew = Crew::default();
        let told = crew.tell(OWN, &due(2)).others;
        assert_eq!(
            (told.to.len(), told.work, told.due),
            (0, true, vec![(drawing(), 2)])
        );
        crew.hear(2, offer(1));
        assert_eq!(crew.tell(OWN, &due(1)).others.to, [2]);
        // It ends.
        crew.hear(
            2,
            Offer {
                able: Some(Vec::new()),
                free: 0,
            },
        );
        assert!(crew.tell(OWN, &due(1)).others.to.is_empty());
    }

    #[test]
    fn a_worker_that_has_filled_its_slots_leaves_the_rest_to_others() {
        let mut crew = crew_with(5);
        crew.hear(2, offer(1));
        let left = WakeUp {
            leaves: true,
            ..due(1)
        };
        let told = crew.tell(OWN, &left);
        assert_eq!((told.own, told.others.to), (false, vec![2]));
    }

    #[test]
    fn what_a_worker_runs_is_told_when_it_is_news_and_how_much_it_could_begin_always() {
        let mut crew = crew_with(5);
        assert_eq!(crew.own_offer(), Some(offer(5)));
        assert!(!crew.offer(vec![drawing()], Vec::new(), 0));
        assert!(
            crew.offer(vec![drawing()], Vec::new(), 4),
            "it has room again"
        );
        let mut hearer = Crew::default();
        hearer.hear(2, offer(5));
        let told = crew.own_offer().unwrap();
        assert_eq!((&told.able, told.free), (&None, 4));
        hearer.hear(2, told);
        assert_eq!(hearer.others[&2].free, 4);
        assert!(crew.offer(Vec::new(), Vec::new(), 0));
        hearer.hear(2, crew.own_offer().unwrap());
        assert!(hearer.others.is_empty());
    }
}
