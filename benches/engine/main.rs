//! How fast jobs are taken in and run, beside what pgbench reaches on the same PostgreSQL with the specification's tables alone,
//! all in one run, see docs/performance.md.
//!
//! `cargo bench --bench engine` does all of it, `-- intake`, `-- drain`, `-- latency`, `-- watch` or `-- scale` a part; `-- streams N`
//! and `-- pending N` make the last two smaller or larger; `-- peers FILE` shows figures of other queues beside it. Without `--bench`, as under `cargo test`, everything is done once and small, to see that it works.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on may panic"
)]

mod depth;
mod drain;
#[path = "../durable.rs"]
mod durable;
mod intake;
mod latency;
mod pgbench;
#[path = "../../tests/it/support/postgres.rs"]
#[expect(dead_code, reason = "the tests do more with it")]
mod postgres;
mod replica;
#[path = "../report.rs"]
mod report;
mod scale;
mod service;
mod sqlite;
mod watch;

use std::fs;

use mimalloc::MiMalloc;
use tokio::runtime::Runtime;

use scale::Scale;
use service::Service;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

type Part = fn(&Scale, &Runtime, &Service);

const PARTS: [(&str, Part); 6] = [
    ("intake", intake::measure),
    ("intake", sqlite::measure),
    ("drain", drain::measure),
    ("latency", latency::measure),
    ("watch", watch::measure),
    ("scale", depth::measure),
];

const ARGUMENTS: &str =
    "intake, drain, latency, watch, scale, streams NUMBER, pending NUMBER, peers FILE";

fn number(argument: Option<String>) -> Option<usize> {
    let number = argument.and_then(|argument| argument.parse().ok());
    Some(number.expect(ARGUMENTS))
}

fn main() {
    let mut scale = Scale::SMALL;
    let mut asked = Vec::new();
    let (mut peers, mut streams, mut pending) = (None, None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => scale = Scale::FULL,
            "peers" => peers = arguments.next(),
            "streams" => streams = number(arguments.next()),
            "pending" => pending = number(arguments.next()),
            name => {
                let part = PARTS.iter().find(|(part, _)| *part == name);
                asked.push(part.expect(ARGUMENTS).0);
            }
        }
    }
    scale.streams = streams.unwrap_or(scale.streams);
    scale.pending = pending.unwrap_or(scale.pending);
    let runtime = Runtime::new().unwrap();
    let service = runtime.block_on(Service::start());
    for (name, part) in PARTS {
        if asked.is_empty() || asked.contains(&name) {
            part(&scale, &runtime, &service);
        }
    }
    if let Some(file) = peers {
        println!("{}", fs::read_to_string(file).unwrap());
    }
    runtime.block_on(service.stop());
}
