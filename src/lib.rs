//! Atelier turns what a user asks for into media.

pub mod domain;
pub mod entity;
pub mod rpc;
