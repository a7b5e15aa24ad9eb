//! Where the watch of a request resumes. The client keeps it, so that any replica can go on.

use std::collections::BTreeMap;

use super::{Checks, Error, seal::Seal};

const MAX_CHARS: usize = 65_536;
const PURPOSE: &str = "watch of a request";

/// Where a watcher of a request stands: the last transition that it was told of each job.
///
/// Revisions count per job: a number that counts all transitions of a request would skip those that commit late.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchCursor {
    revisions: BTreeMap<i64, i64>,
}

impl WatchCursor {
    /// Notes that the watcher was told of a job's transition.
    pub fn advance(&mut self, job_id: i64, revision: i64) {
        self.revisions.insert(job_id, revision);
    }

    /// The last revision told of a job; 0 if none was.
    pub fn revision(&self, job_id: i64) -> i64 {
        self.revisions.get(&job_id).copied().unwrap_or(0)
    }

    /// The cursor as an opaque text that belongs to the request.
    pub fn encode(&self, request_id: i64) -> Result<String, Error> {
        let mut before = 0;
        let mut numbers = Vec::with_capacity(2 * self.revisions.len());
        for (job_id, revision) in &self.revisions {
            // Neighbours differ by little, which keeps the text short.
            numbers.extend([job_id - before, *revision]);
            before = *job_id;
        }
        let content = serde_json::to_vec(&numbers).map_err(Error::internal)?;
        Ok(Seal::of(PURPOSE, &request_id)?.close(&content))
    }

    /// The cursor of a text, empty for an empty one. A text that was changed or belongs to another request goes to `checks`.
    pub fn decode(request_id: i64, text: &str, checks: &mut Checks) -> Result<Self, Error> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let seal = Seal::of(PURPOSE, &request_id)?;
        let sealed = Some(text).filter(|text| text.len() <= MAX_CHARS);
        let cursor = sealed.and_then(|text| Self::of_numbers(&seal.open(text)?));
        checks.require(cursor.is_some(), "cursor", || {
            format!(
                "must be empty, or as WatchRequest gave it for this request: at most {MAX_CHARS} characters"
            )
        });
        Ok(cursor.unwrap_or_default())
    }

    fn of_numbers(content: &[u8]) -> Option<Self> {
        let numbers: Vec<i64> = serde_json::from_slice(content).ok()?;
        let (pairs, rest) = numbers.as_chunks::<2>();
        let mut cursor = Self::default();
        let mut job_id = 0_i64;
        for [step, revision] in pairs {
            job_id = job_id.checked_add(*step)?;
            cursor.advance(job_id, *revision);
        }
        (rest.is_empty() && cursor.revisions.len() == pairs.len()).then_some(cursor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(request_id: i64, text: &str) -> Result<WatchCursor, Error> {
        let mut checks = Checks::default();
        let cursor = WatchCursor::decode(request_id, text, &mut checks)?;
        checks.finish(cursor)
    }

    fn cursor() -> impl Strategy<Value = WatchCursor> {
        proptest::collection::btree_map(1..i64::MAX, 1..i64::MAX, 0..20)
            .prop_map(|revisions| WatchCursor { revisions })
    }

    proptest! {
        #[test]
        fn a_cursor_survives_the_way_through_its_text(cursor in cursor(), request_id in 1..i64::MAX) {
            let text = cursor.encode(request_id).unwrap();
            prop_assert_eq!(decode(request_id, &text).unwrap(), cursor);
        }

        #[test]
        fn a_cursor_of_another_request_is_refused(cursor in cursor(), request_id in 1..i64::MAX - 1) {
            let text = cursor.encode(request_id).unwrap();
            prop_assert!(decode(request_id + 1, &text).is_err());
        }

        #[test]
        fn nonsense_is_refused_and_never_panics(text in ".{1,80}") {
            prop_assert!(decode(1, &text).is_err());
        }

        #[test]
        fn genuinely_sealed_nonsense_is_no_cursor(numbers in proptest::collection::vec(any::<i64>(), 0..9)) {
            let content = serde_json::to_vec(&numbers).unwrap();
            let _ = decode(1, &Seal::of(PURPOSE, &1).unwrap().close(&content));
        }
    }

    #[test]
    fn a_cursor_of_many_jobs_stays_short() {
        let mut cursor = WatchCursor::default();
        for job_id in 1_000_000..1_001_000 {
            cursor.advance(job_id, 3);
        }
        let text = cursor.encode(7).unwrap();
        assert!(text.len() < 6_000, "{}", text.len());
    }

    #[test]
    fn a_text_that_is_too_long_is_refused_and_an_empty_one_is_the_beginning() {
        assert!(decode(1, &"A".repeat(MAX_CHARS + 1)).is_err());
        assert_eq!(decode(1, "").unwrap(), WatchCursor::default());
    }
}
