//! Requests, from the call that makes one to its deletion.

mod billing;
mod changes;
mod cost;
mod credits;
mod deletion;
mod erasure;
mod export;
mod gathering;
mod hidden_prompts;
mod idempotency;
mod including;
mod intake;
mod listing;
mod moderation;
mod pictures;
mod plans;
mod schedules;
mod validation;
mod warnings;
pub(crate) mod watch;
mod watch_brief;
mod watch_several;
mod watch_slowly;
mod watch_user;
