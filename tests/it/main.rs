//! Behaviour of the whole, on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used)]

mod api;
mod catalogue;
mod client;
mod database;
mod docs;
mod jobs;
mod media;
mod operations;
mod requests;
mod support;
