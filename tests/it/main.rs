//! Behaviour of the whole, on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used)]

mod boundary;
mod database;
mod documents;
mod postgres;
mod queue;
mod schema;
mod storage;
