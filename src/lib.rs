//! Atelier turns what a user asks for into media: a request is checked against a feature and a template, stored, and
//! fulfilled by background jobs that survive restarts and tell every step to whoever watches.
//!
//! A request's way through the house:
//!
//! 1. [`rpc`] turns the message into a [`domain::RequestDraft`] and calls [`app::App::create_request`].
//! 2. [`domain::resolve`] checks it against the feature's properties and the template's variables, and resolves one
//!    [`domain::JobInput`] for each variation.
//! 3. [`store`] keeps the request, its pending jobs, their first events and the idempotency key in one transaction.
//! 4. [`events`] wakes a worker, here or on another replica. The [`executor`] claims the job with a lease, and keeps it.
//! 5. A [`provider`] makes the output; [`media`] finds out what it is, and stores it with its BlurHash and preview.
//! 6. [`app::App::complete_job`] records media, job, event and the request's status in one transaction, conditional on
//!    the lease; [`events`] wakes those who watch, and [`app::JobWatch`] reads for them what has happened.
//!
//! Dependencies point one way: [`codec`] <- [`domain`], [`entity`] <- [`store`], [`provider`], [`media`], [`events`] <- [`app`] <-
//! [`rpc`], [`executor`] <- [`server`], [`cli`]. Other programs use [`client`], as [`cli`] does. The README lists the invariants.

pub mod app;
pub mod cli;
pub mod client;
pub mod config;
pub mod domain;
pub mod entity;
pub mod events;
pub mod executor;
pub mod media;
pub mod provider;
pub mod rpc;
pub mod server;
pub mod shutdown;
pub mod store;
pub mod telemetry;
