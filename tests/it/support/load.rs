//! Callers who ask for pictures and follow them to their end while something goes wrong, and what must hold of them after that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atelier::domain::JobStatus;
use atelier::entity::job;
use atelier::rpc::proto::{CreateRequestRequest, WatchRequestEvent};
use futures::{StreamExt, stream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::audit::assert_ended_once;
use crate::support::client::{Client, scripted_request};
use crate::support::database::TestDatabase;
use crate::support::script::Script;
use crate::support::server::within;
use crate::support::watching::step_of;

/// For the servers, which tell soon when they cannot tell anything, and go on with jobs that are lost however often.
pub(crate) const SETTINGS: [&str; 3] = [
    "billing.kind=ledger",
    "executor.max_attempts=20",
    "server.watch_heartbeat=1s",
];
const CALLERS: usize = 8;
const VARIATIONS: i32 = 2;
const COST: i64 = 7;
const CREDITS: i64 = 1_000_000;
/// After so long a silence a caller turns to another server, as after an error.
const PATIENCE: Duration = Duration::from_secs(3);
/// Before a caller asks again.
const PAUSE: Duration = Duration::from_millis(50);

/// Callers, each of whom asks for something as soon as he has what he asked for before.
pub(crate) struct Load {
    /// What the provider is told and tells.
    pub script: Script,
    feature: i64,
    servers: Servers,
    over: CancellationToken,
    callers: JoinSet<Vec<Followed>>,
    /// Requests of nobody among the callers.
    others: BTreeSet<i64>,
}

/// Where callers turn to, one after the other.
#[derive(Clone)]
struct Servers(Arc<Mutex<Vec<Client>>>);

/// A request, and what its watcher was told of it.
struct Followed {
    request_id: i64,
    cursor: String,
    /// Jobs and revisions.
    told: Vec<(i64, i64)>,
}

impl Load {
    /// Begins on these servers.
    pub(crate) async fn begin(servers: &[&Client]) -> Self {
        let feature = servers[0].priced_feature(COST).await;
        servers[0].give(CREDITS, "all").await;
        let clients = servers.iter().map(|client| (*client).clone()).collect();
        let mut load = Self {
            script: Script::new(&["succeed"]).with_task().findable(),
            feature,
            servers: Servers(Arc::new(Mutex::new(clients))),
            over: CancellationToken::new(),
            callers: JoinSet::new(),
            others: BTreeSet::new(),
        };
        for place in 0..CALLERS {
            let caller = Caller {
                place,
                asked: load.asked(),
                servers: load.servers.clone(),
                turn: place,
            };
            load.callers.spawn(caller.go_on_until(load.over.clone()));
        }
        load.until_submitted(2 * CALLERS).await;
        load
    }

    fn asked(&self) -> CreateRequestRequest {
        let mut asked = scripted_request(self.feature, &self.script);
        asked.input.get_or_insert_default().variations = VARIATIONS;
        asked
    }

    /// Asks for one thing more, of a script of its own; the job.
    pub(crate) async fn add(&mut self, on: &Client, script: &Script) -> i64 {
        let (request, jobs) = on.create(scripted_request(self.feature, script)).await;
        self.others.insert(request.id);
        jobs[0].id
    }

    /// From now on another server is where this one was.
    pub(crate) fn replace(&self, place: usize, by: &Client) {
        self.servers.0.lock().unwrap()[place] = by.clone();
    }

    /// Waits until so many more tasks have been submitted.
    pub(crate) async fn until_submitted(&self, more: usize) {
        let before = self.script.calls_of("submit").len();
        self.until(before + more, |_| true).await;
    }

    /// The same by one process.
    pub(crate) async fn until_submitted_by(&self, process: u32, more: usize) {
        let calls = self.script.calls_of("submit");
        let before = calls.iter().filter(|call| call.process == process).count();
        self.until(before + more, |by| by == process).await;
    }

    async fn until(&self, submitted: usize, by: impl Fn(u32) -> bool) {
        let enough = self.script.wait_until(|calls| {
            let calls = calls.iter().filter(|call| call.name == "submit");
            calls.filter(|call| by(call.process)).count() >= submitted
        });
        enough.await;
    }

    /// Lets the callers come to an end, and asserts that each got what he asked for: once, and told without a gap. All jobs, by
    /// id.
    pub(crate) async fn end(mut self, db: &TestDatabase, on: &Client) -> BTreeMap<i64, job::Model> {
        self.over.cancel();
        let mut followed = Vec::new();
        while let Some(ended) = within(self.callers.join_next()).await {
            followed.extend(ended.unwrap());
        }
        let jobs = assert_ended_once(db).await;
        self.assert_submitted_once();
        assert_told_once(&followed, &jobs);
        let asked: BTreeSet<i64> = followed.iter().map(|it| it.request_id).collect();
        assert_eq!(asked.len(), followed.len(), "a key stands for one request");
        let made: BTreeSet<i64> = jobs.values().map(|job| job.request_id).collect();
        assert_eq!(made, &asked | &self.others, "a request was stored twice");
        let others = self.others.len();
        assert_eq!(jobs.len(), asked.len() * VARIATIONS as usize + others);
        assert_all_is_there(on, &jobs).await;
        jobs
    }

    fn assert_submitted_once(&self) {
        let submitted = self.script.calls_of("submit");
        let jobs = self.script.jobs_with("submit");
        assert_eq!(submitted.len(), jobs.len(), "a job was submitted twice");
    }
}

/// Each watcher was told of all that has happened to the jobs of its request, in order and once, and they are completed.
fn assert_told_once(followed: &[Followed], jobs: &BTreeMap<i64, job::Model>) {
    for request in followed {
        let of_request = jobs
            .values()
            .filter(|job| job.request_id == request.request_id);
        let mut expected = 0;
        for job in of_request {
            assert_eq!(job.status, JobStatus::Completed, "{job:?}");
            let told = request.told.iter().filter(|(id, _)| *id == job.id);
            let told = told.map(|(_, revision)| *revision);
            assert!(told.eq(1..=job.revision), "{:?} of {job:?}", request.told);
            expected += usize::try_from(job.revision).unwrap();
        }
        assert_eq!(request.told.len(), expected);
    }
}

/// What was made is there, and paid for once.
async fn assert_all_is_there(on: &Client, jobs: &BTreeMap<i64, job::Model>) {
    let completed = jobs
        .values()
        .filter(|job| job.status == JobStatus::Completed);
    let completed: Vec<i64> = completed.map(|job| job.id).collect();
    let spent = COST * i64::try_from(completed.len()).unwrap();
    assert_eq!(on.balance().await, (CREDITS - spent, 0));
    let read = |id| async move {
        let media = on.media_of(id).await;
        assert!(!on.content_of(&media[0]).await.is_empty(), "job {id}");
    };
    let reads = stream::iter(completed).for_each_concurrent(CALLERS, read);
    within(reads).await;
}

/// One who asks again and again.
struct Caller {
    place: usize,
    asked: CreateRequestRequest,
    servers: Servers,
    /// How often he has turned to another server.
    turn: usize,
}

impl Caller {
    async fn go_on_until(mut self, over: CancellationToken) -> Vec<Followed> {
        let mut followed = Vec::new();
        while !over.is_cancelled() {
            let request_id = self
                .ask(&format!("{}-{}", self.place, followed.len()))
                .await;
            followed.push(self.follow(request_id).await);
        }
        followed
    }

    /// Asks until he is answered; the key has it be one request.
    async fn ask(&mut self, key: &str) -> i64 {
        let asked = CreateRequestRequest {
            idempotency_key: key.to_owned(),
            ..self.asked.clone()
        };
        loop {
            let mut requests = self.server().requests();
            match timeout(PATIENCE, requests.create_request(asked.clone())).await {
                Ok(Ok(created)) => return created.into_inner().request.unwrap().id,
                Ok(Err(refused)) => assert_passes(&refused),
                Err(_) => {}
            }
            self.turn_to_another().await;
        }
    }

    /// Watches it to its end, again from where the stream broke.
    async fn follow(&mut self, request_id: i64) -> Followed {
        let mut followed = Followed {
            request_id,
            cursor: String::new(),
            told: Vec::new(),
        };
        while !followed.read_on(&self.server()).await {
            self.turn_to_another().await;
        }
        followed
    }

    fn server(&self) -> Client {
        let servers = self.servers.0.lock().unwrap();
        servers[self.turn % servers.len()].clone()
    }

    async fn turn_to_another(&mut self) {
        self.turn += 1;
        sleep(PAUSE).await;
    }
}

impl Followed {
    /// Whether the stream has come to its end.
    async fn read_on(&mut self, server: &Client) -> bool {
        let opened = timeout(
            PATIENCE,
            server.try_watch_request(self.request_id, &self.cursor),
        );
        let mut stream = match opened.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(refused)) => {
                assert_passes(&refused);
                return false;
            }
            Err(_) => return false,
        };
        loop {
            match timeout(PATIENCE, stream.next()).await {
                Ok(Ok(Some(message))) => {
                    if message.event() == WatchRequestEvent::Transition {
                        self.told.push(step_of(&message));
                    }
                    self.cursor = message.cursor;
                }
                Ok(Ok(None)) => return true,
                Ok(Err(broken)) => {
                    assert_passes(&broken);
                    return false;
                }
                Err(_) => return false,
            }
        }
    }
}

/// What a server says must be that it is to be asked again; what it cannot say any more, its connection does.
fn assert_passes(status: &Status) {
    let is_told = status.get_error_details().error_info().is_some();
    let passes = match is_told {
        true => matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded),
        false => !matches!(status.code(), Code::InvalidArgument | Code::NotFound),
    };
    assert!(passes, "{status:?}");
}

/// Has a worker of this name stand still while it runs something until all of that is another's and has ended.
pub(crate) async fn until_taken_over(db: &TestDatabase, worker: &str, stand: impl Fn(bool)) {
    let running = format!(
        "SELECT CAST(id AS text) FROM generation_jobs WHERE status = 'processing' AND worker_id = '{worker}'"
    );
    let running = within(async {
        loop {
            stand(true);
            let running = db.texts(&running).await;
            if !running.is_empty() {
                return running.join(", ");
            }
            stand(false);
            sleep(PAUSE).await;
        }
    });
    let left = format!(
        "SELECT CAST(id AS text) FROM generation_jobs WHERE id IN ({}) AND completed_at IS NULL",
        running.await
    );
    within(async {
        while !db.texts(&left).await.is_empty() {
            sleep(PAUSE).await;
        }
    })
    .await;
    stand(false);
}
