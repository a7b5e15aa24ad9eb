//! Requests: from what a user asks for to what the jobs have made of it.

mod cancel;
mod create;
mod delete;
mod hide_previews;
mod include;
mod inputs;
mod intake;
mod links;
mod moderate;
mod retry;
mod sieve;
mod undelete;
mod update;
mod uploads;
mod validate;
mod warnings;
mod watch;
mod watch_user;

pub use cancel::Cancellation;
pub use create::Accepted;
pub use include::{Include, Included};
pub(in crate::app) use intake::Intake;
pub use validate::ValidRequest;
pub use warnings::ignored_inputs;
