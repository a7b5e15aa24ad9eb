//! Behaviour of the whole, on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used)]

mod client;
mod database;
mod documents;
mod grpc_web;
mod idempotency;
mod media_files;
mod postgres;
mod queue;
mod refusal;
mod schema;
mod script;
mod server;
mod storage;
mod structure;
mod watch;
mod watching;
mod whole_path;
