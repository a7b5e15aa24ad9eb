#![doc = include_str!("../docs/architecture.md")]
// An optimized build looks through a call's futures down to the database's connection, deeper than 128.
#![recursion_limit = "256"]

pub mod app;
pub mod billing;
pub mod cli;
pub mod client;
pub mod config;
pub mod domain;
pub mod entity;
pub mod events;
pub mod executor;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod identity;
pub mod media;
pub mod memory;
pub mod metrics;
pub mod provider;
pub mod rpc;
pub mod server;
pub mod shutdown;
pub mod stand_in;
pub mod store;
pub mod telemetry;
pub mod traces;
