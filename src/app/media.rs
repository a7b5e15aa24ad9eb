//! Media rows: each is deleted by itself, and found by the bytes of its file.

mod deletion;
mod find;
mod link;
mod picture;

pub use find::FoundMedia;
pub use picture::Unpictured;
