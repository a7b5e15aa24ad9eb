//! The queue of jobs as its workers use it: they say what they can run, claim, and end what they have claimed. What they
//! fail to end is taken from them, see docs/domain.md#attempts.

mod announce;
mod cancel_late;
mod claim;
mod complete;
mod drain;
mod end_attempt;
mod endings;
mod explain_waiting;
mod fail_unclaimed;
mod note_submission;
mod pause;
mod release;
mod rescue;
mod unpark;

use std::time::Duration;

pub(in crate::app) use complete::Completion;
pub use complete::{StoredFile, StoredOutput};
pub use drain::Crew;
pub(in crate::app) use end_attempt::Ending;
pub use explain_waiting::WaitingReasons;
pub(in crate::app) use note_submission::Submissions;
pub use pause::Queue;

/// How often a worker says what it can run.
pub const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(10);

/// Most jobs of one transaction.
const BATCH: u32 = 100;
