//! Uses and views, which are gathered as rows of their own, become their templates' counters and scores, see
//! docs/domain.md#popularity-and-trends.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{
    app::App,
    domain::{Error, Tally, TrendWeight, in_window},
    entity::template_tally,
    store::{
        self, Transaction,
        trend::{Popularity, Unsettled},
    },
};

use super::day;

/// Most rows of one transaction.
const BATCH: u64 = 1_000;

/// What was counted since the last fold, by template.
type Counted = BTreeMap<i64, Vec<Tally>>;

/// What a fold did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Uses and views that were added to their templates.
    pub tallies: usize,
    /// Templates that were written.
    pub templates: usize,
}

impl Folded {
    /// Whether there was nothing to do, or another replica did it.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl App {
    /// Adds the uses and views that were counted to their templates, weighs anew what decays, opens and closes windows, and
    /// forgets the views of days before yesterday. Any number of replicas may do so: one folds at a time and the others
    /// leave it to that one. A tally is removed in the transaction that adds it, so it counts once whatever breaks.
    pub async fn fold_trends(&self) -> Result<Folded, Error> {
        let mut folded = Folded::default();
        if self.fold_tallies(&mut folded).await? {
            for kind in Unsettled::ALL {
                self.weigh_unsettled(kind, &mut folded).await?;
            }
        }
        self.forget_views().await?;
        Ok(folded)
    }

    /// Does the work in the only transaction that folds; `None` if another replica has one.
    async fn fold<T>(
        &self,
        work: impl AsyncFnOnce(&Transaction) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let folded = self.store.write(async |tx| {
            if !store::trend::lock_fold(tx).await? {
                return Ok(None);
            }
            work(tx).await.map(Some)
        });
        folded.await
    }

    /// Returns false if another replica folds.
    async fn fold_tallies(&self, folded: &mut Folded) -> Result<bool, Error> {
        loop {
            let batch = self.fold(async |tx| {
                let tallies = store::trend::take_tallies(tx, BATCH).await?;
                let count = tallies.len();
                let templates = self.weigh(tx, &by_template(tallies)).await?;
                Ok((count, templates))
            });
            let Some((count, templates)) = batch.await? else {
                return Ok(false);
            };
            folded.tallies += count;
            folded.templates += templates;
            if (count as u64) < BATCH {
                return Ok(true);
            }
        }
    }

    /// Looks at the templates of a kind without locking them, and then locks those only that must be written.
    async fn weigh_unsettled(&self, kind: Unsettled, folded: &mut Folded) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let page = store::trend::unsettled(self.store.reader(), kind, after, BATCH).await?;
            let now = self.clock.now();
            let changed = page.iter().filter(|before| {
                let after = self.weighed(before, &[], now);
                is_worth_writing(before, &after)
            });
            let changed: Counted = changed.map(|before| (before.id, Vec::new())).collect();
            if !changed.is_empty() {
                let weighed = self.fold(async |tx| self.weigh(tx, &changed).await);
                match weighed.await? {
                    Some(templates) => folded.templates += templates,
                    None => return Ok(()),
                }
            }
            match page.last() {
                Some(last) if page.len() as u64 == BATCH => after = last.id,
                _ => return Ok(()),
            }
        }
    }

    /// Locks the templates and writes those whose counters or trend have changed. Returns how many.
    async fn weigh(&self, tx: &Transaction, counted: &Counted) -> Result<usize, Error> {
        let ids: Vec<i64> = counted.keys().copied().collect();
        let now = self.clock.now();
        let mut written = 0;
        for before in store::trend::lock(tx, &ids).await? {
            let tallies = counted.get(&before.id).map_or(&[][..], Vec::as_slice);
            let after = self.weighed(&before, tallies, now);
            if !tallies.is_empty() || is_worth_writing(&before, &after) {
                store::trend::write(tx, &after).await?;
                written += 1;
            }
        }
        Ok(written)
    }

    /// The template with what was counted, as it is at `now`.
    fn weighed(&self, before: &Popularity, tallies: &[Tally], now: DateTime<Utc>) -> Popularity {
        let weight = TrendWeight {
            value: before.trend_weight,
            at: before.trend_weighed_at.unwrap_or(now),
        };
        let weight = weight.fold(tallies, now);
        let score = weight.score();
        let sum = |count: i32, more: fn(&Tally) -> i32| {
            tallies.iter().map(more).fold(count, i32::saturating_add)
        };
        Popularity {
            usage_count: sum(before.usage_count, |tally| tally.uses),
            view_count: sum(before.view_count, |tally| tally.views),
            trend_weight: weight.value,
            trend_weighed_at: (weight.value > 0.0).then_some(weight.at),
            trend_score: score,
            is_trending: score >= self.settings.trend_threshold
                || in_window(before.trend_start_date, before.trend_end_date, now),
            ..before.clone()
        }
    }

    async fn forget_views(&self) -> Result<(), Error> {
        let yesterday = day(self.clock.now())? - 1;
        let writer = self.store.writer();
        while store::trend::forget_views(writer, yesterday, BATCH).await? == BATCH {}
        Ok(())
    }
}

/// Whether a reader sees a change; or the weight is forgotten, so that the template is settled. What only decays can be
/// computed from the old weight again.
fn is_worth_writing(before: &Popularity, after: &Popularity) -> bool {
    before.trend_score != after.trend_score
        || before.is_trending != after.is_trending
        || (before.trend_weight > 0.0) != (after.trend_weight > 0.0)
}

fn by_template(tallies: Vec<template_tally::Model>) -> Counted {
    let mut counted = Counted::new();
    for row in tallies {
        let tally = Tally {
            uses: row.uses,
            views: row.views,
            at: row.created_at,
        };
        counted.entry(row.template_id).or_default().push(tally);
    }
    counted
}
