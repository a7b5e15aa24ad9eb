//! Behaviour of the whole, on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used)]

mod boundary;
mod bucket;
mod catalogue;
mod client;
mod client_library;
mod command_line;
mod crash;
mod database;
mod documents;
mod execution;
mod generate;
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
mod proxy;
mod python;
mod queue;
mod readme_session;
mod reasons;
mod reflection_health;
mod refusal;
mod requests;
mod schema;
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
