//! Behaviour of the whole, on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used)]

mod boundary;
mod browser;
mod bucket;
mod catalogue;
mod client;
mod command_line;
mod crash;
mod database;
mod documents;
mod execution;
mod grpc_web;
mod idempotency;
mod intake;
mod jobs;
mod layers;
mod leases;
mod media_deletion;
mod media_download;
mod media_files;
mod paging;
mod postgres;
mod process;
mod queue;
mod reasons;
mod reflection_health;
mod refusal;
mod requests;
mod schema;
mod scope;
mod script;
mod server;
mod shutdown;
mod storage;
mod structure;
mod two_executors;
mod validation;
mod watch;
mod watch_request;
mod watching;
mod whole_path;
mod whole_path_s3;
