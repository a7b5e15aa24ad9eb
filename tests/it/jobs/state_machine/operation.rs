//! What can happen to jobs and requests.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

/// Who asks. What runs at once of the last one is limited.
pub(super) const USERS: std::ops::RangeInclusive<i64> = 1..=2;
pub(super) const LIMITED: i64 = 2;
/// How many of his.
pub(super) const LIMIT: usize = 2;
/// The most that a feature with a limit has for one.
pub(super) const MOST_OF_FEATURE: usize = 3;

/// What one asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub user: i64,
    pub variations: i32,
    pub priority: i32,
    /// Of another feature than the one that is paused and limited.
    pub elsewhere: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// So many seconds pass.
    Pass(i64),
    /// At once.
    Ask(Vec<Asked>),
    /// A worker asks for so many jobs.
    Claim(u32),
    Rescue,
    /// Jobs whose pause has ended come back.
    Unpark,
    /// Operators pause the queue (true) or the feature of most jobs, or resume it if it is paused.
    Toggle(bool),
    /// So many jobs of that feature may run at once from then on; 0 is no limit.
    Limit(usize),
    /// The media of a job are deleted by themselves.
    DeleteMedia(Index),
    /// An attempt does something, whether it still has its lease or not.
    Attempt(Index, Attempt),
    /// Several attempts end at once, each so.
    Together(Vec<(Index, Attempt)>),
    Job(Index, Job),
    Request(Index, Request),
}

#[derive(Clone, Debug)]
pub(super) enum Attempt {
    Heartbeat,
    Complete,
    Fail,
    Retry(Duration),
    HandBack,
}

#[derive(Clone, Debug)]
pub(super) enum Job {
    /// What runs too, or only what waits.
    Cancel(bool),
    Retry,
    Delete,
    Undelete,
}

#[derive(Clone, Debug)]
pub(super) enum Request {
    /// What runs too, or only what waits.
    Cancel(bool),
    Retry,
    Delete,
    Undelete,
}

/// Any of them, those more often that the others build on.
pub(super) fn any() -> impl Strategy<Value = Operation> {
    let index = proptest::prelude::any::<Index>;
    let fruitless = || {
        prop_oneof![
            2 => Just(Attempt::Fail),
            2 => prop_oneof![Just(0), Just(20)].prop_map(|pause| Attempt::Retry(Duration::from_secs(pause))),
            1 => Just(Attempt::HandBack),
        ]
    };
    let attempt = prop_oneof![
        1 => Just(Attempt::Heartbeat),
        3 => Just(Attempt::Complete),
        5 => fruitless(),
    ];
    let job = prop_oneof![
        2 => proptest::bool::ANY.prop_map(Job::Cancel),
        2 => Just(Job::Retry),
        2 => Just(Job::Delete),
        1 => Just(Job::Undelete),
    ];
    let request = prop_oneof![
        2 => proptest::bool::ANY.prop_map(Request::Cancel),
        2 => Just(Request::Retry),
        2 => Just(Request::Delete),
        2 => Just(Request::Undelete),
    ];
    let together = prop_oneof![
        proptest::collection::vec((index(), Just(Attempt::Complete)), 2..=4),
        proptest::collection::vec((index(), fruitless()), 2..=4),
    ];
    let asked = (USERS, 1..=2, 0..=1, proptest::bool::weighted(0.3));
    let asked = asked.prop_map(|(user, variations, priority, elsewhere)| Asked {
        user,
        variations,
        priority,
        elsewhere,
    });
    prop_oneof![
        // As long as a pause, and longer than a lease.
        2 => prop_oneof![Just(20), Just(31)].prop_map(Operation::Pass),
        1 => proptest::collection::vec(asked, 1..=3).prop_map(Operation::Ask),
        6 => (1u32..=4).prop_map(Operation::Claim),
        2 => Just(Operation::Rescue),
        2 => Just(Operation::Unpark),
        2 => proptest::bool::ANY.prop_map(Operation::Toggle),
        2 => (0..=MOST_OF_FEATURE).prop_map(Operation::Limit),
        1 => index().prop_map(Operation::DeleteMedia),
        7 => (index(), attempt).prop_map(|(index, action)| Operation::Attempt(index, action)),
        3 => together.prop_map(Operation::Together),
        4 => (index(), job).prop_map(|(index, action)| Operation::Job(index, action)),
        5 => (index(), request).prop_map(|(index, action)| Operation::Request(index, action)),
    ]
}
