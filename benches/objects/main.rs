//! What files cost to send and to take, beside nginx and beside copying them, and what a purge costs those who ask for more
//! meanwhile, all in one run, see docs/performance.md.
//!
//! `cargo bench --bench objects` does all of it, `-- links`, `-- transfer` or `-- purge` a part, a number with them says how many
//! jobs there are to purge. Without `--bench`, as under `cargo test`, everything is done once and small, to see that it works.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on may panic"
)]

mod http;
mod intake;
mod links;
mod nginx;
#[path = "../../tests/it/support/postgres.rs"]
#[expect(dead_code, reason = "the tests do more with it")]
mod postgres;
mod purge;
#[path = "../report.rs"]
mod report;
mod scale;
mod service;
mod transfer;

use mimalloc::MiMalloc;
use tokio::runtime::Runtime;

use scale::Scale;
use service::Service;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

type Part = fn(&Scale, &Runtime, &Service);

const PARTS: [(&str, Part); 3] = [
    ("links", links::measure),
    ("transfer", transfer::measure),
    ("purge", purge::measure),
];

fn main() {
    let (scale, asked) = read_arguments();
    let runtime = Runtime::new().unwrap();
    let service = runtime.block_on(Service::start());
    for (name, part) in PARTS {
        if asked.is_empty() || asked.iter().any(|asked| asked == name) {
            part(&scale, &runtime, &service);
        }
    }
    runtime.block_on(service.stop());
}

/// How much is to be done, and the parts that are named.
fn read_arguments() -> (Scale, Vec<String>) {
    let (mut scale, mut asked) = (Scale::SMALL, Vec::new());
    let mut jobs = None;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--bench" => scale = Scale::FULL,
            name if PARTS.iter().any(|(part, _)| *part == name) => asked.push(argument),
            number => {
                let number = number.parse().ok();
                jobs = Some(number.expect("links, transfer, purge, and how many jobs there are"));
            }
        }
    }
    scale.jobs = jobs.unwrap_or(scale.jobs);
    (scale, asked)
}
