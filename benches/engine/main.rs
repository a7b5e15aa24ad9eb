//! How fast jobs are taken in and run, beside what pgbench reaches on the same PostgreSQL with the specification's tables alone,
//! all in one run, see docs/performance.md.
//!
//! `cargo bench --bench engine` does all of it, `-- intake`, `-- drain` or `-- latency` a part; `-- peers FILE` shows figures of
//! other queues beside it. Without `--bench`, as under `cargo test`, everything is done once and small, to see that it works.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on may panic"
)]

mod drain;
mod intake;
mod latency;
mod pgbench;
#[path = "../../tests/it/support/postgres.rs"]
#[expect(dead_code, reason = "the tests do more with it")]
mod postgres;
#[path = "../report.rs"]
mod report;
mod scale;
mod service;

use std::fs;

use mimalloc::MiMalloc;
use tokio::runtime::Runtime;

use scale::Scale;
use service::Service;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

type Part = fn(&Scale, &Runtime, &Service);

const PARTS: [(&str, Part); 3] = [
    ("intake", intake::measure),
    ("drain", drain::measure),
    ("latency", latency::measure),
];

fn main() {
    let mut scale = Scale::SMALL;
    let mut asked = Vec::new();
    let mut peers = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => scale = Scale::FULL,
            "peers" => peers = arguments.next(),
            name => {
                let part = PARTS.iter().find(|(part, _)| *part == name);
                asked.push(part.expect("intake, drain, latency, peers FILE").0);
            }
        }
    }
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
