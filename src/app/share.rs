//! Public links to media, see docs/sharing.md.

mod create;
mod open;
mod revoke;

pub use open::{OpenFile, OpenShare};
