//! Behaviour of the whole, on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used)]

mod catalogue;
mod client;
mod database;
mod documents;
mod execution;
mod grpc_web;
mod idempotency;
mod intake;
mod leases;
mod media_files;
mod paging;
mod postgres;
mod queue;
mod refusal;
mod schema;
mod script;
mod server;
mod storage;
mod structure;
mod two_executors;
mod watch;
mod watching;
mod whole_path;
