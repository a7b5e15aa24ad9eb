//! How long an idle service lets a job wait, and a watcher for the news of it.
//!
//! Times are those of one machine's clock: the answer to CreateRequest comes right after the commit, the event of the start has
//! the time at which the claim's statement began, and the watcher's message comes when it comes.

use std::time::{Duration, SystemTime};

use atelier::app::Clock;
use atelier::client::Client;
use atelier::client::proto::{JobStatus, WatchJobRequest};
use atelier::server::Server;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use crate::report::Table;
use crate::scale::Scale;
use crate::service::{Service, asked};

/// Nothing is under way any more then.
const IDLE: Duration = Duration::from_millis(20);

pub(crate) fn measure(scale: &Scale, runtime: &Runtime, service: &Service) {
    let titles = ["Milliseconds", "start, p50", "p99", "news, p50", "p99"];
    let mut table = Table::new(&titles);
    runtime.block_on(async {
        service.clear().await;
        let whole = service.whole().await;
        let url = whole.url().unwrap();
        table.row(row("in one process", wait(service, scale, &url).await));
        stop(whole).await;
        let worker = service.worker().await;
        let url = service.url();
        table.row(row(
            "with the worker in another",
            wait(service, scale, &url).await,
        ));
        stop(worker).await;
    });
    table.print();
}

async fn stop(server: Server) {
    server.hand_back().await;
}

/// From the answer to the start, and from the start to the watcher's message, of each job, in milliseconds. The first are not counted:
/// the connections are new, and PostgreSQL has yet to plan what is asked on them.
async fn wait(service: &Service, scale: &Scale, url: &str) -> [Vec<f64>; 2] {
    let client = Client::connect(url).await.unwrap();
    let mut waits = [Vec::new(), Vec::new()];
    let warming = scale.singles / 2;
    for number in 0..warming + scale.singles {
        sleep(IDLE).await;
        let request = asked(service.ends, "fail", i64::try_from(number).unwrap());
        let created = client.requests().create_request(request).await.unwrap();
        let answered = system_now();
        let job = created.into_inner().jobs.remove(0);
        let (start, heard) = started(&client, job.id).await;
        if number < warming {
            continue;
        }
        waits[0].push(milliseconds(answered, start));
        waits[1].push(milliseconds(start, heard));
    }
    waits
}

/// When the job was started, and when its watcher heard of it.
async fn started(client: &Client, id: i64) -> (SystemTime, SystemTime) {
    let watch = WatchJobRequest {
        id,
        ..Default::default()
    };
    let mut news = client.jobs().watch_job(watch).await.unwrap().into_inner();
    loop {
        let message = news.message().await.unwrap().expect("the job starts");
        let heard = system_now();
        let job = message.job.unwrap();
        if job.status() != JobStatus::Pending {
            let start = SystemTime::try_from(job.start_time.unwrap()).unwrap();
            return (start, heard);
        }
    }
}

/// By the clock that the database goes by, too.
pub(crate) fn system_now() -> SystemTime {
    Clock::system().now().into()
}

/// Less than nothing where the end came first.
pub(crate) fn milliseconds(begin: SystemTime, end: SystemTime) -> f64 {
    match end.duration_since(begin) {
        Ok(passed) => passed.as_secs_f64() * 1e3,
        Err(before) => -before.duration().as_secs_f64() * 1e3,
    }
}

fn row(name: &str, waits: [Vec<f64>; 2]) -> Vec<String> {
    let mut cells = vec![name.to_owned()];
    for wait in waits {
        cells.extend(percentiles(wait));
    }
    cells
}

/// The middle, and what all but a hundredth stay below.
pub(crate) fn percentiles(mut times: Vec<f64>) -> [String; 2] {
    times.sort_by(f64::total_cmp);
    [50, 99].map(|percent| format!("{:.1}", times[times.len() * percent / 100]))
}
