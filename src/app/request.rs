//! Requests: from what a user asks for to what the jobs have made of it.

mod cancel;
mod create;
mod delete;
mod hide_previews;
mod include;
mod inputs;
mod links;
mod moderate;
mod retry;
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
pub use validate::ValidRequest;
pub use warnings::ignored_inputs;
