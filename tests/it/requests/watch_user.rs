//! WatchUser: all requests of a user in one stream, whatever commits late, breaks or piles up.

use std::collections::{BTreeMap, BTreeSet};

use atelier::domain::{self, Caller, UserCursor, WatchCursor};
use atelier::entity::{job, job_event, request};
use atelier::rpc::proto::{
    CancelJobRequest, CancelRequestRequest, DeleteRequestRequest, ErrorReason, ListFeaturesRequest,
    ListRequestsRequest, RetryRequestRequest, WatchRequestEvent,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ConnectionTrait, DatabaseConnection,
    DatabaseTransaction, EntityTrait, IntoActiveModel, TransactionTrait,
};
use tonic::Code;

use crate::requests::watch::{create, variations};
use crate::support::client::{USER, scripted_request};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::watching::{RequestWatch, step_of};

/// As the contract has it.
const FOLLOWED: usize = 500;
/// What a cursor may take however many jobs there are.
const SHORT: usize = 16 * 1024;

on_both_databases! {
    async fn what_is_unfinished_and_what_comes_is_told_and_what_has_ended_is_not(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let quick = Script::new(&["succeed"]);
        let ended = create(&server, &quick, 1).await;
        server.watch_request(ended.id).await.transitions().await;
        let slow = Script::new(&["transient", "succeed"]).gated();
        let (open, _) = server.create(scripted_request(ended.feature_id, &slow)).await;

        let mut watch = server.watch_user(USER, "").await;
        let opened = watch.next().await.unwrap().unwrap();
        assert_eq!(opened.event(), WatchRequestEvent::Opened);
        assert_eq!((opened.job, opened.request), (None, None));
        let (new, _) = server.create(variations(ended.feature_id, &quick, 2)).await;
        slow.open_gate();
        let seen = read(&mut watch, 5 + 2 * 3).await;
        let of = |request: i64| seen.iter().filter(|step| step.0 == request).count();
        assert_eq!((of(ended.id), of(open.id), of(new.id)), (0, 5, 6));
        assert_in_order(seen.iter().map(|(_, job, revision)| (*job, *revision)));
    }

    async fn a_page_shows_everything_once_by_one_list_and_one_stream(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]);
        let feature = server.scripted_feature().await;
        let asked = || scripted_request(feature, &script);
        let mut all = BTreeSet::from([server.create(asked()).await.0.id]);
        let mut watch = server.watch_user(USER, "").await;
        watch.event(WatchRequestEvent::Opened).await.unwrap();
        all.insert(server.create(asked()).await.0.id);
        let list = ListRequestsRequest { user_id: USER, ..Default::default() };
        let listed = within(server.requests().list_requests(list)).await.unwrap().into_inner();
        let mut shown: BTreeMap<i64, _> = listed.requests.into_iter().map(|request| (request.id, request)).collect();
        all.insert(server.create(asked()).await.0.id);
        while shown.len() < 3 || shown.values().any(|request| request.job_counts.unwrap().completed == 0) {
            let request = watch.transition().await.unwrap().request.unwrap();
            shown.insert(request.id, request);
        }
        assert_eq!(shown.into_keys().collect::<BTreeSet<_>>(), all);
    }

    async fn a_stream_that_breaks_at_each_message_and_is_resumed_loses_nothing(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["transient", "succeed"]);
        let mut cursor = server.watch_user(USER, "").await.next().await.unwrap().unwrap().cursor;
        create(&server, &script, 3).await;
        let mut seen = Vec::new();
        while seen.len() < 15 {
            let message = server.watch_user(USER, &cursor).await.transition().await.unwrap();
            seen.push(step_of(&message));
            cursor = message.cursor;
        }
        assert_in_order(seen.into_iter());
        // What comes next is new.
        let retried = create_more(&server, &script).await;
        let next = server.watch_user(USER, &cursor).await.transition().await.unwrap();
        assert_eq!(step_of(&next), (retried, 1));
    }

    async fn what_a_retry_adds_and_a_deletion_cancels_is_told_and_then_the_deletion(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let request = create(&server, &Script::new(&[]), 2).await;
        let mut watch = server.watch_user(USER, "").await;
        read(&mut watch, 2).await;
        let cancel = CancelRequestRequest { id: request.id, ..Default::default() };
        within(server.requests().cancel_request(cancel)).await.unwrap();
        read(&mut watch, 2).await;
        let retry = RetryRequestRequest { id: request.id };
        within(server.requests().retry_request(retry)).await.unwrap();
        let added = read(&mut watch, 2).await;
        assert!(added.iter().all(|(_, _, revision)| *revision == 1));
        delete(&server, request.id).await;
        read(&mut watch, 2).await;
        let deleted = watch.event(WatchRequestEvent::Deleted).await.unwrap();
        assert!(deleted.request.unwrap().delete_time.is_some());
        assert_eq!(deleted.job, None);

        // The stream goes on, and says it no more.
        let added = create_more(&server, &Script::new(&[])).await;
        loop {
            let message = watch.next().await.unwrap().unwrap();
            assert_ne!(message.event(), WatchRequestEvent::Deleted);
            if message.event() == WatchRequestEvent::Transition {
                assert_eq!(step_of(&message), (added, 1));
                break;
            }
        }
    }

    async fn a_request_that_had_ended_is_told_when_it_is_deleted_and_one_deleted_before_is_not(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let script = Script::new(&[]);
        let feature = server.scripted_feature().await;
        let mut ended = Vec::new();
        for _ in 0..40 {
            let (request, jobs) = server.create(scripted_request(feature, &script)).await;
            cancel(&server, jobs[0].id).await;
            ended.push(request.id);
        }
        let before = ended.remove(0);
        delete(&server, before).await;
        let mut watch = server.watch_user(USER, "").await;
        let cursor = watch.next().await.unwrap().unwrap().cursor;
        delete(&server, ended.remove(0)).await;
        let told = watch.next().await.unwrap().unwrap();
        assert_eq!(told.event(), WatchRequestEvent::Deleted);
        drop(watch);
        for id in &ended {
            delete(&server, *id).await;
        }

        // One that resumes tells all of them, each once, and once more what was deleted just before.
        let all = [[before, told.request.unwrap().id].as_slice(), &ended].concat();
        let mut watch = server.watch_user(USER, &cursor).await;
        for id in all {
            let told = watch.event(WatchRequestEvent::Deleted).await.unwrap().request.unwrap();
            assert!(told.delete_time.is_some());
            assert_eq!(told.id, id);
        }
        let (added, _) = server.create(scripted_request(feature, &script)).await;
        let next = watch.next().await.unwrap().unwrap();
        assert_eq!((next.event(), next.request.unwrap().id), (WatchRequestEvent::Transition, added.id));
    }

    async fn others_are_not_told_of(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let mut watch = server.watch_user(USER, "").await;
        watch.event(WatchRequestEvent::Opened).await.unwrap();
        let feature = server.scripted_feature().await;
        let script = Script::new(&[]);
        let mut other = scripted_request(feature, &script);
        other.user_id = USER + 1;
        server.create(other).await;
        let (own, _) = server.create(scripted_request(feature, &script)).await;
        assert_eq!(watch.transition().await.unwrap().request.unwrap().id, own.id);
    }

    async fn a_cursor_must_be_one_of_this_user_and_of_this_database(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let request = create(&server, &Script::new(&[]), 1).await;
        let mut watch = server.watch_user(USER, "").await;
        let message = watch.transition().await.unwrap();
        let cursor = message.cursor.clone();
        let refused = async |user: i64, cursor: &str| {
            refusal(server.try_watch_user(user, cursor).await.map(|_| ()))
        };
        for wrong in [&cursor[1..], "nonsense", "🦆", " ", "\0", &"A".repeat(65_537)] {
            refused(USER, wrong).await.of_fields(["cursor"]);
        }
        refused(USER + 1, &cursor).await.of_fields(["cursor"]);
        refused(0, "").await.of_fields(["user_id"]);
        let of_request = server.watch_request(request.id).await.transition().await.unwrap().cursor;
        refused(USER, &of_request).await.of_fields(["cursor"]);

        // As after a restore from an older backup: of a job, and of a transition.
        let ahead = UserCursor { floor: 4_711, ..UserCursor::default() };
        let ahead = ahead.encode(USER, &WatchCursor::default(), &db.sealer(Caller::TrustedService).await).unwrap();
        refused(USER, &ahead).await
            .is(Code::OutOfRange, ErrorReason::RevisionAhead)
            .with("job_id", 4_711)
            .with("revision", 0);
        let (job_id, _) = step_of(&message);
        let connection = db.connect().await;
        let rewound = job::ActiveModel { id: Set(job_id), revision: Set(0), ..Default::default() };
        job::Entity::update(rewound).exec(&connection).await.unwrap();
        refused(USER, &cursor).await
            .is(Code::OutOfRange, ErrorReason::RevisionAhead)
            .with("job_id", job_id)
            .with("revision", 0)
            .with("after_revision", 1);
    }

    async fn a_user_with_thousands_of_jobs_is_told_all_of_them_with_a_short_cursor(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let request = create(&server, &Script::new(&[]), 1).await;
        let mut watch = server.watch_user(USER, "").await;
        let first = watch.transition().await.unwrap();
        let (mut seen, mut cursor) = (vec![step_of(&first)], first.cursor);
        drop(watch);
        let connection = db.connect().await;
        let like = only_job(&connection).await;
        let ended = insert_jobs(&connection, &like, 2_000, true).await;
        let pending = insert_jobs(&connection, &like, FOLLOWED + 100, false).await;

        // Those that have no room yet have their turn when others have ended.
        let mut watch = server.watch_user(USER, &cursor).await;
        let now = 2 * ended.len() + FOLLOWED;
        while seen.len() < now {
            let message = watch.transition().await.unwrap();
            seen.push(step_of(&message));
            assert!(message.cursor.len() < SHORT, "{}", message.cursor.len());
            cursor = message.cursor;
            if seen.len() % 1_000 == 0 {
                watch = server.watch_user(USER, &cursor).await;
            }
        }
        let cancel = CancelRequestRequest { id: request.id, ..Default::default() };
        within(server.requests().cancel_request(cancel)).await.unwrap();
        let all = 2 * (ended.len() + pending.len() + 1);
        while seen.len() < all {
            let message = watch.transition().await.unwrap();
            seen.push(step_of(&message));
            assert!(message.cursor.len() < SHORT, "{}", message.cursor.len());
        }
        assert_in_order(seen.into_iter());
    }

    async fn a_user_who_opens_the_page_with_too_much_unfinished_is_told_all_of_it(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let request = create(&server, &Script::new(&[]), 1).await;
        let connection = db.connect().await;
        let like = only_job(&connection).await;
        insert_jobs(&connection, &like, FOLLOWED + 100, false).await;
        let mut watch = server.watch_user(USER, "").await;
        let mut seen = Vec::new();
        for _ in 0..FOLLOWED {
            seen.push(step_of(&watch.transition().await.unwrap()));
        }
        let cancel = CancelRequestRequest { id: request.id, ..Default::default() };
        within(server.requests().cancel_request(cancel)).await.unwrap();
        while seen.len() < 2 * (FOLLOWED + 101) {
            seen.push(step_of(&watch.transition().await.unwrap()));
        }
        assert_in_order(seen.into_iter());
    }

    async fn whatever_happens_in_whatever_order_each_transition_comes_once(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        create(&server, &Script::new(&[]), 1).await;
        for _ in 0..10 {
            let seed = rand::random();
            eprintln!("seed {seed}");
            Schedule::new(&server, &db, seed).await.run(120).await;
        }
    }
}

/// Only PostgreSQL lets several write at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_committed_after_many_later_ones_is_told_to_its_end() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let server = TestServer::start_api(&db).await;
    let script = Script::new(&[]);
    create(&server, &script, 1).await;
    let mut watch = server.watch_user(USER, "").await;
    watch.transition().await.unwrap();
    let connection = db.connect().await;
    let like = only_job(&connection).await;
    // It has its identifier, and has ended when it is committed.
    let late = db.connect().await.begin().await.unwrap();
    let [late_id] = insert_jobs(&late, &like, 1, true).await[..] else {
        panic!("one job")
    };
    let mut cursor = String::new();
    for _ in 0..20 {
        let id = create_more(&server, &script).await;
        cancel(&server, id).await;
        for revision in 1..=2 {
            let message = watch.transition().await.unwrap();
            assert_eq!(step_of(&message), (id, revision));
            cursor = message.cursor;
        }
        assert!(id > late_id);
    }
    late.commit().await.unwrap();
    // Both by the stream that was open and by one that resumes.
    for mut watch in [watch, server.watch_user(USER, &cursor).await] {
        for revision in 1..=2 {
            let message = watch.transition().await.unwrap();
            assert_eq!(step_of(&message), (late_id, revision));
        }
    }
}

/// A reader that breaks off now and then, and writers that begin, commit, roll back and cancel, in random order.
struct Schedule<'a> {
    server: &'a TestServer,
    db: &'a TestDatabase,
    connection: DatabaseConnection,
    like: job::Model,
    random: StdRng,
    watch: RequestWatch,
    cursor: String,
    script: Script,
    /// Transactions that are open, with the jobs that they have added and whether these have ended.
    open: Vec<(DatabaseTransaction, i64, bool)>,
    pending: Vec<i64>,
    /// Transitions that are committed, and those that were told.
    committed: BTreeSet<(i64, i64)>,
    told: Vec<(i64, i64)>,
}

impl<'a> Schedule<'a> {
    async fn new(server: &'a TestServer, db: &'a TestDatabase, seed: u64) -> Self {
        let connection = db.connect().await;
        let like = only_job(&connection).await;
        // The one job that waits is no part of it.
        let mut watch = server.watch_user(USER, "").await;
        let cursor = watch.transition().await.unwrap().cursor;
        Self {
            server,
            db,
            connection,
            like,
            random: StdRng::seed_from_u64(seed),
            watch,
            cursor,
            script: Script::new(&[]),
            open: Vec::new(),
            pending: Vec::new(),
            committed: BTreeSet::new(),
            told: Vec::new(),
        }
    }

    async fn run(mut self, steps: usize) {
        for _ in 0..steps {
            self.step().await;
        }
        while !self.open.is_empty() {
            self.end_one().await;
        }
        while self.told.len() < self.committed.len() {
            self.read().await;
        }
        while let Some(id) = self.pending.pop() {
            self.cancel(id).await;
            self.read().await;
        }
        assert_in_order(self.told.iter().copied());
        assert_eq!(
            self.told.into_iter().collect::<BTreeSet<_>>(),
            self.committed
        );
    }

    async fn step(&mut self) {
        let several = self.db.backend == Backend::Postgres;
        match self.random.random_range(0..8) {
            0 | 1 if several && self.open.len() < 4 => self.begin().await,
            2 if !self.open.is_empty() => self.end_one().await,
            3 if !self.pending.is_empty() => {
                let index = self.random.random_range(0..self.pending.len());
                let id = self.pending.swap_remove(index);
                self.cancel(id).await;
            }
            4 => {
                let id = create_more(self.server, &self.script).await;
                self.committed(id, false);
            }
            5 => self.watch = self.server.watch_user(USER, &self.cursor).await,
            _ if self.told.len() < self.committed.len() => self.read().await,
            _ => {}
        }
    }

    async fn begin(&mut self) {
        let tx = self.db.connect().await.begin().await.unwrap();
        let ended = self.random.random();
        let id = insert_jobs(&tx, &self.like, 1, ended).await[0];
        self.open.push((tx, id, ended));
    }

    async fn end_one(&mut self) {
        let index = self.random.random_range(0..self.open.len());
        let (tx, id, ended) = self.open.swap_remove(index);
        if self.random.random_range(0..4) == 0 {
            tx.rollback().await.unwrap();
        } else {
            tx.commit().await.unwrap();
            self.committed(id, ended);
            let wake = format!("NOTIFY atelier_jobs, '{{\"users\": [{USER}]}}'");
            self.connection.execute_unprepared(&wake).await.unwrap();
        }
    }

    fn committed(&mut self, id: i64, ended: bool) {
        self.committed.insert((id, 1));
        if ended {
            self.committed.insert((id, 2));
        } else {
            self.pending.push(id);
        }
    }

    async fn cancel(&mut self, id: i64) {
        cancel(self.server, id).await;
        self.committed.insert((id, 2));
    }

    async fn read(&mut self) {
        let message = self.watch.transition().await.unwrap();
        self.told.push(step_of(&message));
        self.cursor = message.cursor;
    }
}

/// The next transitions, each with its request.
async fn read(watch: &mut RequestWatch, transitions: usize) -> Vec<(i64, i64, i64)> {
    let mut seen = Vec::new();
    while seen.len() < transitions {
        let message = watch.transition().await.unwrap();
        let (job, revision) = step_of(&message);
        seen.push((message.request.unwrap().id, job, revision));
    }
    seen
}

/// Each job's revisions must be 1, 2, 3 and so on.
#[track_caller]
fn assert_in_order(steps: impl Iterator<Item = (i64, i64)>) {
    let mut last = BTreeMap::new();
    for (job, revision) in steps {
        let before = last.insert(job, revision).unwrap_or(0);
        assert_eq!(revision, before + 1, "of job {job}");
    }
}

/// Another request of one job for the scripted feature that there is.
async fn create_more(server: &TestServer, script: &Script) -> i64 {
    let list = ListFeaturesRequest::default();
    let features = within(server.features().list_features(list)).await.unwrap();
    let feature = features.into_inner().features[0].id;
    server.create(scripted_request(feature, script)).await.1[0].id
}

async fn delete(server: &TestServer, id: i64) {
    let delete = DeleteRequestRequest {
        id,
        ..Default::default()
    };
    within(server.requests().delete_request(delete))
        .await
        .unwrap();
}

async fn cancel(server: &TestServer, id: i64) {
    within(server.jobs().cancel_job(CancelJobRequest {
        id,
        ..Default::default()
    }))
    .await
    .unwrap();
}

/// The oldest.
async fn only_job(connection: &DatabaseConnection) -> job::Model {
    job::Entity::find().one(connection).await.unwrap().unwrap()
}

/// Adds jobs to the request of another, pending or cancelled, as intake does: in a transaction that has written before.
/// Tells nobody.
async fn insert_jobs(
    connection: &impl ConnectionTrait,
    like: &job::Model,
    count: usize,
    ended: bool,
) -> Vec<i64> {
    let first = request::Entity::find_by_id(like.request_id);
    let first = first.one(connection).await.unwrap().unwrap();
    let another = request::ActiveModel {
        id: NotSet,
        ..first.into_active_model().reset_all()
    };
    another.insert(connection).await.unwrap();
    let (status, revision) = match ended {
        true => (domain::JobStatus::Cancelled, 2),
        false => (domain::JobStatus::Pending, 1),
    };
    let new = job::ActiveModel {
        id: NotSet,
        status: Set(status),
        revision: Set(revision),
        completed_at: Set(ended.then_some(like.created_at)),
        ..like.clone().into_active_model().reset_all()
    };
    let mut ids = Vec::new();
    for some in vec![new; count].chunks(500) {
        let inserted = job::Entity::insert_many(some.to_vec());
        let inserted = inserted.exec_with_returning(connection).await.unwrap();
        let batch: Vec<i64> = inserted.into_iter().map(|job| job.id).collect();
        let events = batch
            .iter()
            .flat_map(|id| (1..=revision).map(|n| event(like, *id, n)));
        let events = job_event::Entity::insert_many(events);
        events.exec_without_returning(connection).await.unwrap();
        ids.extend(batch);
    }
    ids
}

fn event(like: &job::Model, job_id: i64, revision: i64) -> job_event::ActiveModel {
    job_event::ActiveModel {
        job_id: Set(job_id),
        revision: Set(revision),
        status: Set(match revision {
            1 => domain::JobStatus::Pending,
            _ => domain::JobStatus::Cancelled,
        }),
        attempt: Set(0),
        detail: Set(None),
        created_at: Set(like.created_at),
    }
}
