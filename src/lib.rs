//! Atelier turns what a user asks for into media.

pub mod entity;
pub mod rpc;
