//! Media rows: each is deleted by itself, and found by the bytes of its file.

mod batch;
mod delete;
mod find;
mod link;
mod picture;
mod undelete;

pub use find::FoundMedia;
pub use picture::Unpictured;
