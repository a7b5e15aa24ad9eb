//! Behaviour of the whole, on SQLite and on PostgreSQL.

#![expect(
    clippy::unwrap_used,
    reason = "what tests are made with is no test of its own for clippy"
)]

mod api;
mod catalogue;
mod client;
mod database;
mod docs;
mod faults;
mod jobs;
mod media;
mod operations;
mod providers;
mod requests;
mod support;
