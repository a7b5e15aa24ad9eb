//! What tests are made with: databases, servers, clients, and things to say to them.

pub(crate) mod aimock;
pub(crate) mod bench;
pub(crate) mod bucket;
pub(crate) mod catalogue_calls;
pub(crate) mod client;
pub(crate) mod clocked;
pub(crate) mod database;
pub(crate) mod http;
pub(crate) mod http2;
pub(crate) mod identity;
pub(crate) mod ledger;
pub(crate) mod link_host;
pub(crate) mod node;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod provider;
pub(crate) mod proxy;
pub(crate) mod python;
pub(crate) mod raw;
pub(crate) mod recording;
pub(crate) mod refusal;
pub(crate) mod samples;
pub(crate) mod script;
pub(crate) mod server;
pub(crate) mod structure;
pub(crate) mod watching;
