//! Where a watch of requests resumes. The client keeps it, so that any replica can go on.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read as _, Write as _},
};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};

use super::{
    Checks, Error, Flaw,
    seal::{Seal, Sealer, Unopened},
};

const MAX_CHARS: usize = 65_536;
/// From so many bytes on the numbers are packed, which then are much alike: of a request that was retried often, each job is
/// named. Shorter ones stay as an older server reads them.
const PACKED_FROM: usize = 2_048;
/// More than the longest text can hold of numbers that are not made to be packed well.
const MAX_UNPACKED: u64 = 8 << 20;

/// What a cursor is of, and bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CursorOf {
    /// All jobs of a request.
    Request(i64),
    /// All jobs of several requests.
    Requests(BTreeSet<i64>),
    /// All jobs of a user.
    User(i64),
}

/// The last transition that a watcher was told of each job.
///
/// Revisions count per job: a number that counts all transitions of a request would skip those that commit late.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchCursor {
    revisions: BTreeMap<i64, i64>,
}

/// Where a watcher of all jobs of a user stands: it names only those that may still have something to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserCursor {
    /// What is not named of the jobs up to this one has been told, or is not told at all.
    pub floor: i64,
    /// What the floor waits for.
    pub settling: Option<Settling>,
    /// Requests that were deleted before then have been told; in seconds since 1970.
    pub deletions_from: i64,
    /// Of the jobs that have not ended, and of those above the floor.
    pub told: WatchCursor,
}

/// Identifiers are given before they are committed. So the floor may rise to a job only when all transactions have ended that
/// may hold an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settling {
    /// The job that the floor is to rise to.
    pub newest: i64,
    /// A transaction that began after all of those.
    pub transaction: i64,
}

impl CursorOf {
    fn seal(&self, sealer: &Sealer) -> Result<Seal, Error> {
        match self {
            Self::Request(id) => sealer.seal("watch of a request", id),
            Self::Requests(ids) => sealer.seal("watch of requests", ids),
            Self::User(id) => sealer.seal("watch of a user", id),
        }
    }

    fn close(&self, numbers: &[i64], sealer: &Sealer) -> Result<String, Error> {
        let content = serde_json::to_vec(numbers).map_err(Error::internal)?;
        let content = packed(content).map_err(Error::internal)?;
        self.seal(sealer)?.close(&content)
    }

    /// What `read` makes of the numbers of a text; `None` for an empty one, and for one that is outdated: its watch begins
    /// anew. A text that was changed or belongs to something or somebody else goes to `checks`.
    fn open<T>(
        &self,
        text: &str,
        sealer: &Sealer,
        checks: &mut Checks,
        read: impl FnOnce(&[i64]) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        if text.is_empty() {
            return Ok(None);
        }
        let content = match text.len() <= MAX_CHARS {
            true => self.seal(sealer)?.open(text),
            false => Err(Unopened::Forged),
        };
        if content == Err(Unopened::Outdated) {
            return Ok(None);
        }
        let numbers = content
            .ok()
            .and_then(unpacked)
            .and_then(|content| serde_json::from_slice::<Vec<i64>>(&content).ok());
        let cursor = numbers.and_then(|numbers| read(&numbers));
        checks.require(cursor.is_some(), "cursor", || {
            let given = match self {
                Self::Request(_) => "WatchRequest gave it for this request",
                Self::Requests(_) => "WatchRequests gave it for these requests",
                Self::User(_) => "WatchUser gave it for this user",
            };
            Flaw::Malformed.says(format!(
                "must be empty, or as {given}: at most {MAX_CHARS} characters"
            ))
        });
        Ok(cursor)
    }
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

    /// Whether it names the job.
    pub fn names(&self, job_id: i64) -> bool {
        self.revisions.contains_key(&job_id)
    }

    /// The jobs that are named, by id.
    pub fn jobs(&self) -> impl Iterator<Item = i64> {
        self.revisions.keys().copied()
    }

    /// Names only those of the jobs.
    pub fn retain(&mut self, mut keep: impl FnMut(i64) -> bool) {
        self.revisions.retain(|job_id, _| keep(*job_id));
    }

    /// The cursor as an opaque text that belongs to these requests.
    pub fn encode(&self, of: &CursorOf, sealer: &Sealer) -> Result<String, Error> {
        of.close(&self.numbers(), sealer)
    }

    /// The cursor of a text, see [`CursorOf`]; the beginning for an empty one, and for one that is outdated.
    pub fn decode(
        of: &CursorOf,
        text: &str,
        sealer: &Sealer,
        checks: &mut Checks,
    ) -> Result<Self, Error> {
        let cursor = of.open(text, sealer, checks, Self::of_numbers)?;
        Ok(cursor.unwrap_or_default())
    }

    fn numbers(&self) -> Vec<i64> {
        let mut before = 0;
        let mut numbers = Vec::with_capacity(2 * self.revisions.len());
        for (job_id, revision) in &self.revisions {
            // Neighbours differ by little, which keeps the text short.
            numbers.extend([job_id - before, *revision]);
            before = *job_id;
        }
        numbers
    }

    fn of_numbers(numbers: &[i64]) -> Option<Self> {
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

impl UserCursor {
    /// The cursor as an opaque text that belongs to the user. It tells `told` in the place of its own.
    pub fn encode(
        &self,
        user_id: i64,
        told: &WatchCursor,
        sealer: &Sealer,
    ) -> Result<String, Error> {
        let settling = self
            .settling
            .map_or([0, 0], |settling| [settling.newest, settling.transaction]);
        let mut numbers = vec![self.floor, settling[0], settling[1], self.deletions_from];
        numbers.extend(told.numbers());
        CursorOf::User(user_id).close(&numbers, sealer)
    }

    /// The cursor of a text; `None` for an empty one, and for one that is outdated. A text that was changed, or given to
    /// another caller or for another user, goes to `checks`.
    pub fn decode(
        user_id: i64,
        text: &str,
        sealer: &Sealer,
        checks: &mut Checks,
    ) -> Result<Option<Self>, Error> {
        CursorOf::User(user_id).open(text, sealer, checks, Self::of_numbers)
    }

    fn of_numbers(numbers: &[i64]) -> Option<Self> {
        let ([floor, newest, transaction, deletions_from], told) = numbers.split_first_chunk()?;
        let settling = Settling {
            newest: *newest,
            transaction: *transaction,
        };
        Some(Self {
            floor: *floor,
            settling: Some(settling).filter(|settling| settling.newest > 0),
            deletions_from: *deletions_from,
            told: WatchCursor::of_numbers(told)?,
        })
    }
}

fn packed(content: Vec<u8>) -> io::Result<Vec<u8>> {
    if content.len() < PACKED_FROM {
        return Ok(content);
    }
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(&content)?;
    packer.finish()
}

fn unpacked(content: Vec<u8>) -> Option<Vec<u8>> {
    // What is packed begins otherwise than a JSON array.
    if content.first() == Some(&b'[') {
        return Some(content);
    }
    let mut unpacked = Vec::new();
    let unpacker = ZlibDecoder::new(content.as_slice());
    unpacker
        .take(MAX_UNPACKED)
        .read_to_end(&mut unpacked)
        .ok()?;
    Some(unpacked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Caller, keyring::tests::ring_of};

    fn sealer() -> Sealer {
        Sealer::new(&ring_of(1..=2, 2), Caller::User(7))
    }

    fn decode(of: &CursorOf, text: &str) -> Result<WatchCursor, Error> {
        let mut checks = Checks::default();
        let cursor = WatchCursor::decode(of, text, &sealer(), &mut checks)?;
        checks.finish(cursor)
    }

    fn decode_user(user_id: i64, text: &str) -> Result<Option<UserCursor>, Error> {
        let mut checks = Checks::default();
        let cursor = UserCursor::decode(user_id, text, &sealer(), &mut checks)?;
        checks.finish(cursor)
    }

    fn cursor() -> impl Strategy<Value = WatchCursor> {
        proptest::collection::btree_map(1..i64::MAX, 0..i64::MAX, 0..20)
            .prop_map(|revisions| WatchCursor { revisions })
    }

    fn user_cursor() -> impl Strategy<Value = UserCursor> {
        let settling = (1..i64::MAX, 0..i64::MAX).prop_map(|(newest, transaction)| Settling {
            newest,
            transaction,
        });
        let settling = proptest::option::of(settling);
        let numbers = (0..i64::MAX, 0..i64::MAX);
        (numbers, settling, cursor()).prop_map(|((floor, deletions_from), settling, told)| {
            UserCursor {
                floor,
                settling,
                deletions_from,
                told,
            }
        })
    }

    fn requests() -> impl Strategy<Value = CursorOf> {
        let ids = proptest::collection::btree_set(1..i64::MAX, 1..5);
        prop_oneof![
            (1..i64::MAX).prop_map(CursorOf::Request),
            ids.prop_map(CursorOf::Requests)
        ]
    }

    proptest! {
        #[test]
        fn a_cursor_survives_the_way_through_its_text(cursor in cursor(), of in requests()) {
            let text = cursor.encode(&of, &sealer()).unwrap();
            prop_assert_eq!(decode(&of, &text).unwrap(), cursor);
        }

        #[test]
        fn a_cursor_of_a_user_survives_the_way_through_its_text(cursor in user_cursor(), user_id in 1..i64::MAX) {
            let text = cursor.encode(user_id, &cursor.told, &sealer()).unwrap();
            prop_assert_eq!(decode_user(user_id, &text).unwrap(), Some(cursor));
            prop_assert!(decode_user(user_id.wrapping_add(1), &text).is_err());
        }

        #[test]
        fn a_cursor_of_other_requests_is_refused(cursor in cursor(), of in requests(), other in requests()) {
            prop_assume!(of != other);
            let text = cursor.encode(&of, &sealer()).unwrap();
            prop_assert!(decode(&other, &text).is_err());
            prop_assert!(decode_user(1, &text).is_err());
        }

        #[test]
        fn nonsense_is_refused_and_never_panics(text in ".{1,80}") {
            prop_assert!(decode(&CursorOf::Request(1), &text).is_err());
            prop_assert!(decode_user(1, &text).is_err());
        }

        #[test]
        fn genuinely_sealed_nonsense_is_no_cursor(numbers in proptest::collection::vec(any::<i64>(), 0..9)) {
            let request = CursorOf::Request(1);
            let _ = decode(&request, &request.close(&numbers, &sealer()).unwrap());
            let _ = decode_user(1, &CursorOf::User(1).close(&numbers, &sealer()).unwrap());
        }
    }

    #[test]
    fn an_outdated_cursor_is_the_beginning() {
        let (of, earlier) = (
            CursorOf::Request(1),
            Sealer::new(&ring_of(1..=1, 1), Caller::User(7)),
        );
        let mut cursor = WatchCursor::default();
        cursor.advance(1, 3);
        let text = cursor.encode(&of, &earlier).unwrap();
        assert_eq!(decode(&of, &text).unwrap(), WatchCursor::default());
        let cursor = UserCursor::default();
        let text = cursor.encode(1, &cursor.told, &earlier).unwrap();
        assert_eq!(decode_user(1, &text).unwrap(), None);
    }

    #[test]
    fn a_cursor_of_many_jobs_stays_short() {
        let mut cursor = WatchCursor::default();
        for job_id in 1_000_000..1_001_000 {
            cursor.advance(job_id, 3);
        }
        let text = cursor.encode(&CursorOf::Request(7), &sealer()).unwrap();
        assert!(text.len() < 6_000, "{}", text.len());
    }

    #[test]
    fn a_cursor_of_a_request_that_was_retried_over_and_over_stays_short() {
        let mut cursor = WatchCursor::default();
        for job_id in 1_000_000..1_020_000_i64 {
            // Some ended at once, some after more attempts, and others came between.
            let chance = job_id.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()) >> 60;
            let step = if chance == 7 { 1_000_000 } else { 0 };
            cursor.advance(job_id + step, 3 + 2 * (chance & 1));
        }
        let of = CursorOf::Request(7);
        let text = cursor.encode(&of, &sealer()).unwrap();
        assert!(text.len() < MAX_CHARS / 2, "{}", text.len());
        assert_eq!(decode(&of, &text).unwrap(), cursor);
    }

    #[test]
    fn a_text_that_is_too_long_is_refused_and_an_empty_one_is_the_beginning() {
        let (long, request) = ("A".repeat(MAX_CHARS + 1), CursorOf::Request(1));
        assert!(decode(&request, &long).is_err());
        assert_eq!(decode(&request, "").unwrap(), WatchCursor::default());
        assert!(decode_user(1, &long).is_err());
        assert_eq!(decode_user(1, "").unwrap(), None);
    }
}
