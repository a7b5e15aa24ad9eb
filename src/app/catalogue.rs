//! The catalogue as a whole, between the database and a file.

mod apply;
mod export;
mod install;
mod previews;
mod shown;

pub use apply::{ApplyOptions, CatalogueChange, ChangeKind};
pub use previews::MadePreview;
