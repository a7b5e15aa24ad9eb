//! One binary for all integration tests: it links once.
#![allow(clippy::unwrap_used)]

mod database;
mod postgres;
mod schema;
