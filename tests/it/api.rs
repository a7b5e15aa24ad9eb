//! What holds for every call, whatever it is about.

mod access;
mod api_keys;
mod audit;
mod batches;
mod boundary;
mod error_walk;
mod filters;
pub(crate) mod front;
pub(crate) mod grpc_web;
mod guard;
mod identity;
mod languages;
mod limits;
mod naming;
mod paging;
mod published_keys;
mod rates;
mod reasons;
pub(crate) mod reflection;
mod scope;
mod views;
