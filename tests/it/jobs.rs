//! Jobs, from the queue to their end.

mod concurrency;
mod crash;
mod exec;
mod execution;
mod fairness;
mod feature_limits;
mod gathering;
mod heartbeats;
mod holding;
mod leases;
mod line;
mod listing;
mod parking;
mod queue;
mod retry;
mod stalled;
mod state_machine;
mod stopping;
mod two_executors;
mod unclaimed;
pub(crate) mod watch;
