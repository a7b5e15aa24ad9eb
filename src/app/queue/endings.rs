//! Attempts that end at the same time, whose ends are written together, see [`gather`](crate::app::gather).

use std::{collections::BTreeMap, sync::Arc};

use crate::{app::gather::Verdict, store::queue::Lease};

/// Attempts of a batch, by their jobs. Of two at one job one has lost its lease: the second is told so by a transaction of its own.
pub(super) struct Endings<'a, G> {
    pub(super) of_jobs: BTreeMap<i64, &'a G>,
    /// The job at each place of the batch that is not such a second one.
    places: Vec<Option<i64>>,
}

impl<'a, G> Endings<'a, G> {
    pub(super) fn of(batch: &'a [Arc<G>], lease: impl Fn(&G) -> &Lease) -> Self {
        let mut of_jobs = BTreeMap::new();
        let place = |attempt: &'a Arc<G>| {
            let id = lease(attempt).job_id;
            let is_second = of_jobs.contains_key(&id);
            of_jobs.entry(id).or_insert(&**attempt);
            (!is_second).then_some(id)
        };
        let places = batch.iter().map(place).collect();
        Self { of_jobs, places }
    }

    /// What has become of each: those that are not among the ended ones have lost their lease.
    pub(super) fn verdicts<T>(&self, mut ended: BTreeMap<i64, T>) -> Vec<Verdict<Option<T>>> {
        let verdict = |place: &Option<i64>| match place {
            Some(id) => Verdict::Done(ended.remove(id)),
            None => Verdict::Alone,
        };
        self.places.iter().map(verdict).collect()
    }
}
