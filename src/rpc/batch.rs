//! What the calls share that return rows by their identifiers.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use crate::domain::{Checks, Entry, Flaw, check_entries};

use super::{page::MAX_PAGE_BYTES, proto};

pub(super) const MAX_IDS: usize = 100;

/// What there is of the rows asked for, in the order asked.
#[derive(Debug)]
pub(super) struct Batch<M> {
    pub(super) items: Vec<M>,
    /// No row has them that the caller may see.
    pub(super) missing_ids: Vec<i64>,
    /// Their rows would make the answer too long.
    pub(super) left_out_ids: Vec<i64>,
}

/// The identifiers asked for, each once.
pub(super) fn batch_ids(ids: Vec<i64>, checks: &mut Checks) -> Vec<i64> {
    each_once("ids", ids, MAX_IDS, checks)
}

/// The identifiers in a field, each once.
pub(super) fn each_once(field: &str, ids: Vec<i64>, most: usize, checks: &mut Checks) -> Vec<i64> {
    let count = ids.len();
    checks.require((1..=most).contains(&count), field, || {
        let words = format!("must have 1 to {most} entries, has {count}");
        Flaw::TooMany.says(words).min(1).max(most).found(count)
    });
    for (index, id) in ids.iter().take(most).enumerate() {
        checks.id(&format!("{field}[{index}]"), *id);
    }
    let mut seen = BTreeSet::new();
    ids.into_iter().filter(|id| seen.insert(*id)).collect()
}

/// What is to be changed as a whole.
pub(super) fn entries_from(entries: Vec<proto::VersionedId>, checks: &mut Checks) -> Vec<Entry> {
    let entry = |proto::VersionedId { id, etag }| Entry { id, etag };
    let entries: Vec<Entry> = entries.into_iter().map(entry).collect();
    check_entries(&entries, checks);
    entries
}

/// The answer: at most as long as a page, or with one message.
pub(super) fn batch<M: Message>(
    ids: Vec<i64>,
    found: impl IntoIterator<Item = M>,
    id_of: fn(&M) -> i64,
) -> Batch<M> {
    let found = found.into_iter().map(|message| (id_of(&message), message));
    let mut found: BTreeMap<i64, M> = found.collect();
    let (mut items, mut missing_ids, mut left_out_ids) = (Vec::new(), Vec::new(), Vec::new());
    let mut bytes = 0;
    for id in ids {
        let Some(message) = found.remove(&id) else {
            missing_ids.push(id);
            continue;
        };
        bytes += message.encoded_len();
        if bytes <= MAX_PAGE_BYTES || items.is_empty() {
            items.push(message);
        } else {
            left_out_ids.push(id);
        }
    }
    Batch {
        items,
        missing_ids,
        left_out_ids,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::proto::UncancelledJob;

    #[test]
    fn the_answer_has_the_order_asked_for_and_tells_what_is_missing() {
        let job = |id| UncancelledJob { id, status: 1 };
        let batch = batch(vec![3, 9, 1, 8], [1, 3].map(job), |job| job.id);
        assert_eq!(batch.items, [3, 1].map(job));
        assert_eq!(
            (batch.missing_ids, batch.left_out_ids),
            (vec![9, 8], vec![])
        );
    }

    #[test]
    fn what_is_too_long_is_left_out_and_one_is_told_however_long() {
        let texts = [3_000_000, 10, 20].map(|length| "x".repeat(length));
        let length = |text: &String| i64::try_from(text.len()).unwrap_or_default();
        let first = batch(vec![3_000_000, 7, 10, 20], texts.clone(), length);
        assert_eq!(first.items, texts[..1]);
        assert_eq!(
            (first.missing_ids, first.left_out_ids),
            (vec![7], vec![10, 20])
        );
        let rest = batch(vec![20, 3_000_000, 10], texts.clone(), length);
        assert_eq!(
            (rest.items, rest.left_out_ids),
            (vec![texts[2].clone()], vec![3_000_000, 10])
        );
    }
}
