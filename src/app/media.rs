//! Media rows: each is deleted by itself, and found by the bytes of its file.

mod deletion;
mod find;
mod link;

pub use find::FoundMedia;
