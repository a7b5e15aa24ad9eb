//! `atelier stand-in`: a service that speaks a vendor's protocol, for trying the whole path without one.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;

use super::{CommandResult, output};
use crate::stand_in::{Fault, Protocol, StandIn};

/// What `atelier stand-in` takes.
#[derive(Args)]
pub(super) struct StandInArguments {
    /// Whose protocol to speak
    protocol: Protocol,

    /// Loopback address and port to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// What goes wrong with the first calls, one each, as a JSON list of "none", "cut", "hang", "endless", "huge",
    /// {"drip": MS}, {"delay": MS}, {"answer": {"status": N, "headers": [["NAME", "VALUE"]], "body": "TEXT"}} and, for a call that has nothing made,
    /// {"on": {"call": "poll", "fault": FAULT}}, also with "result", "file", "cancel" and "webhook", of which "lost", "twice" and
    /// "forged" are faults
    #[arg(long, default_value = "[]", value_parser = faults)]
    faults: Faults,
}

#[derive(Clone)]
struct Faults(Vec<Fault>);

fn faults(text: &str) -> Result<Faults, serde_json::Error> {
    serde_json::from_str(text).map(Faults)
}

/// Runs until it is told to stop.
pub(super) async fn run(arguments: &StandInArguments) -> CommandResult {
    let faults = arguments.faults.0.clone();
    let stand_in = StandIn::start(arguments.protocol, arguments.listen, faults).await?;
    let base = arguments.protocol.base_path();
    output::print(&format!("{}{base}\n", stand_in.url()))?;
    tokio::select! {
        ended = stand_in.run() => ended?,
        stopped = tokio::signal::ctrl_c() => stopped?,
    }
    Ok(ExitCode::SUCCESS)
}
