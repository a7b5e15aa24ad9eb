//! How deep the queue is.

use std::time::Duration;

/// What waits of a provider and a priority.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// The provider's name; empty if there is none.
    pub provider: String,
    /// Of the jobs.
    pub priority: i32,
    /// Jobs that may begin.
    pub ready: i64,
    /// Jobs that wait for their time, are held by their plan or for their feature, or that operators have paused.
    pub paused: i64,
    /// How long the one that is ready longest has been; zero if none is.
    pub oldest: Duration,
}
