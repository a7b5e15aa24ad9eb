//! How fast requests are taken in: what they ask for is looked up, quotas are checked and credits reserved, and their jobs stand
//! in the queue.

use std::time::{Duration, Instant};

use atelier::client::Client;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::pgbench::{self, HUNDRED, ONE_STATEMENT, TWO_STATEMENTS, Until};
use crate::report::{Table, median, ratio};
use crate::scale::Scale;
use crate::service::{JOBS, Service, asked};

/// Callers share connections, as those behind a backend do.
pub(crate) const CONNECTIONS: usize = 16;

struct Line {
    callers: usize,
    /// Jobs of each request.
    jobs: i32,
    ours: Vec<f64>,
    one_statement: Vec<f64>,
    two_statements: Vec<f64>,
}

impl Line {
    fn new(callers: usize, jobs: i32) -> Self {
        Self {
            callers,
            jobs,
            ours: Vec::new(),
            one_statement: Vec::new(),
            two_statements: Vec::new(),
        }
    }

    fn name(&self) -> String {
        match self.jobs {
            1 => format!("CreateRequest, {} callers", self.callers),
            jobs => format!("CreateRequest of {jobs} jobs, {} callers", self.callers),
        }
    }

    fn cells(&self) -> Vec<String> {
        let jobs = f64::from(self.jobs);
        let figure = |rates: &[f64]| match rates {
            [] => String::new(),
            rates => format!("{:.0}", median(rates.to_vec()) * jobs),
        };
        vec![
            self.name(),
            figure(&self.ours),
            figure(&self.one_statement),
            figure(&self.two_statements),
            format!("{:.2}", ratio(&self.ours, &self.one_statement)),
        ]
    }
}

pub(crate) fn measure(scale: &Scale, runtime: &Runtime, service: &Service) {
    let mut lines = [
        Line::new(1, 1),
        Line::new(16, 1),
        Line::new(64, 1),
        Line::new(4, JOBS),
    ];
    let clients = runtime.block_on(service.clients(CONNECTIONS));
    for _ in 0..scale.rounds {
        for line in &mut lines {
            runtime.block_on(service.clear());
            let many = (line.callers, line.jobs);
            let ours = create(&clients, service.ends, many, scale.window);
            line.ours.push(runtime.block_on(ours));
            let until = || Until::Passed(scale.window);
            let (callers, one) = match line.jobs {
                1 => (line.callers, ONE_STATEMENT),
                _ => (line.callers, HUNDRED),
            };
            let rate = pgbench::rate(service, one, callers, until());
            line.one_statement.push(rate);
            if line.jobs == 1 {
                let rate = pgbench::rate(service, TWO_STATEMENTS, callers, until());
                line.two_statements.push(rate);
            }
        }
    }
    let titles = [
        "Jobs a second taken in",
        "Atelier",
        "pgbench, one statement",
        "pgbench, two",
        "ratio to one",
    ];
    let mut table = Table::new(&titles);
    lines.iter().for_each(|line| table.row(line.cells()));
    table.print();
}

/// How many requests of so many jobs a second so many callers get answered, each of whom asks for one after the other.
pub(crate) async fn create(
    clients: &[Client],
    feature: i64,
    (callers, jobs): (usize, i32),
    window: Duration,
) -> f64 {
    let begin = Instant::now();
    let mut asking = JoinSet::new();
    for (number, client) in (0..callers).zip(clients.iter().cycle()) {
        let mut requests = client.requests();
        asking.spawn(async move {
            let mut answered = 0;
            while begin.elapsed() < window {
                // Each of another user than the ones before.
                let user = i64::try_from(number * 17).unwrap() + answered * 61;
                let mut request = asked(feature, "fail", user);
                request.input.as_mut().unwrap().variations = jobs;
                requests.create_request(request).await.unwrap();
                answered += 1;
            }
            answered
        });
    }
    let answered: i64 = asking.join_all().await.into_iter().sum();
    answered as f64 / begin.elapsed().as_secs_f64()
}
