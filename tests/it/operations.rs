//! The program as an operator has it: its commands, probes, logs and signals.

mod canaries;
mod client_certificates;
mod command_line;
mod connections;
mod deadlines;
pub(crate) mod health;
mod logs;
mod metrics;
mod proxies;
mod retention;
mod secrets;
mod shutdown;
mod tls;
mod traces;
mod turns;
