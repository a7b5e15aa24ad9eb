//! What tests are made with: databases, servers, clients, and things to say to them.

pub mod bench;
pub mod bucket;
pub mod catalogue_calls;
pub mod client;
pub mod clocked;
pub mod database;
pub mod http;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod python;
pub mod raw;
pub mod recording;
pub mod refusal;
pub mod samples;
pub mod script;
pub mod server;
pub mod structure;
pub mod watching;
