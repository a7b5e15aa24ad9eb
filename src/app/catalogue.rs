//! The catalogue as a whole, between the database and a file.

mod apply;
mod export;
mod install;

pub use apply::{ApplyOptions, CatalogueChange, ChangeKind};
