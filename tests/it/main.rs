//! Behaviour of the whole, on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used)]

mod boundary;
mod bucket;
mod catalogue;
mod client;
mod command_line;
mod crash;
mod database;
mod documents;
mod error_walk;
mod execution;
mod grpc_web;
mod idempotency;
mod intake;
mod layers;
mod leases;
mod media_files;
mod paging;
mod postgres;
mod process;
mod queue;
mod raw;
mod reasons;
mod reflection_health;
mod refusal;
mod schema;
mod script;
mod server;
mod shutdown;
mod storage;
mod structure;
mod two_executors;
mod watch;
mod watching;
mod whole_path;
mod whole_path_s3;
