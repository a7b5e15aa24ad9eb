//! Behaviour of the whole, on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used)]

mod boundary;
mod browser;
mod bucket;
mod catalogue;
mod catalogue_calls;
mod catalogue_file;
mod client;
mod clocked;
mod command_line;
mod crash;
mod database;
mod documents;
mod execution;
mod feature_updates;
mod features;
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
mod reasons;
mod reflection_health;
mod refusal;
mod samples;
mod schema;
mod script;
mod server;
mod shutdown;
mod storage;
mod structure;
mod template_lists;
mod template_updates;
mod templates;
mod trends;
mod two_executors;
mod watch;
mod watching;
mod whole_path;
mod whole_path_s3;
