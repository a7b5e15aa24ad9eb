//! A long run of everything at once: jobs, uploads, deletions and their undoing, purges, erasures, users whom Identity deletes. In
//! the end database and storage agree on every file, and the servers have not grown.

use std::time::Duration;

use atelier::app::{App, Removal, RemovalMode, RunEnd};
use atelier::domain::sha256_hex;
use atelier::rpc::proto::*;
use atelier::server::open_app;
use futures::StreamExt;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tonic::{Code, Response, Status};

use crate::support::client::{Client, scripted_feature, scripted_request};
use crate::support::database::{Backend, TestDatabase};
use crate::support::process::Process;
use crate::support::script::Script;
use crate::support::server::{configuration, within};
use crate::support::uploads::{head, picture_named};

const JOBS: usize = 2_000;
/// SQLite has one server, which writes one thing at a time.
const JOBS_ON_SQLITE: usize = 500;
const FIRST_USER: i64 = 100;
const USERS: i64 = 8;
/// Most jobs that wait or run at once.
const BACKLOG: i64 = 100;
/// How much a server may grow while it does two thirds of the jobs, in KiB. What it needs for several large steps at once comes and
/// stays at a few tens of MiB, however many jobs there are; jobs that left 72 KiB each behind would go beyond it on PostgreSQL.
const GROWTH: u64 = 48 * 1_024;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What is kept so briefly that the run meets every end of it.
const SETTINGS: [&str; 10] = [
    "providers.scripted.pictures=true",
    "executor.lease=30s",
    // Longer than PostgreSQL takes to find a deadlock: that is what who meets Identity halfway is told of.
    "database.lock_timeout=10s",
    "retention.interval=1s",
    "retention.archive_requests=1s",
    "retention.idempotency_keys=1s",
    "retention.deleted_media=2s",
    "retention.purge_jobs=3s",
    "retention.purge_requests=4s",
    "log.filter=warn",
];

#[tokio::test(flavor = "multi_thread")]
async fn after_two_thousand_jobs_on_two_servers_database_and_storage_agree() {
    let db = TestDatabase::create(Backend::Postgres).await;
    soak(&db, 2, JOBS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_some_hundred_jobs_on_sqlite_database_and_storage_agree() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    soak(&db, 1, JOBS_ON_SQLITE).await;
}

async fn soak(db: &TestDatabase, servers: usize, jobs: usize) {
    let seed = std::env::var("ATELIER_SOAK_SEED").map_or_else(
        |_| rand::random(),
        |seed| seed.parse().expect("ATELIER_SOAK_SEED is a number"),
    );
    println!("ATELIER_SOAK_SEED={seed}");
    let mut processes = Vec::new();
    for _ in 0..servers {
        processes.push(Process::serve_lean(db, db.media.path(), &SETTINGS).await);
    }
    let script = Script::new(&["succeed"]);
    let mut feature = scripted_feature("soaked");
    feature.properties.as_mut().unwrap().omit_thumbnails = false;
    let feature = processes[0].add_feature(feature).await.id;
    let mut chance = StdRng::seed_from_u64(seed);
    let drivers = processes.iter().map(|process| Driver {
        client: (**process).clone(),
        db,
        chance: StdRng::seed_from_u64(chance.random()),
        asked: scripted_request(feature, &script),
        jobs: 0,
    });
    let mut drivers: Vec<Driver<'_>> = drivers.collect();
    let warmed_up = jobs / 3;
    drive(&mut drivers, warmed_up).await;
    let before: Vec<u64> = processes.iter().map(Process::memory).collect();
    drive(&mut drivers, jobs - warmed_up).await;
    let after: Vec<u64> = processes.iter().map(Process::memory).collect();
    println!("resident memory in KiB: {before:?}, then {after:?}");
    assert_lively(db).await;
    for process in &mut processes {
        process.signal("TERM");
        assert!(process.exit().await.success());
    }
    assert_agreed(db).await;
    for (before, after) in before.iter().zip(&after) {
        assert!(*after <= before + GROWTH, "{before} KiB, then {after} KiB");
    }
}

/// Has so many more jobs made, all drivers at once, and lets them end.
async fn drive(drivers: &mut [Driver<'_>], jobs: usize) {
    let share = jobs.div_ceil(drivers.len());
    let driven = drivers.iter_mut().map(|driver| driver.go_on(share));
    futures::future::join_all(driven).await;
    drivers[0].wait_for_jobs(0).await;
}

/// One of those who ask, each at a server of its own.
struct Driver<'a> {
    client: Client,
    db: &'a TestDatabase,
    chance: StdRng,
    asked: CreateRequestRequest,
    jobs: usize,
}

impl Driver<'_> {
    async fn go_on(&mut self, jobs: usize) {
        let end = self.jobs + jobs;
        while self.jobs < end {
            let user_id = FIRST_USER + self.chance.random_range(0..USERS);
            match self.chance.random_range(0..100) {
                0..40 => self.create(user_id).await,
                40..48 => self.upload(user_id).await,
                48..52 => self.delete_upload(user_id).await,
                52..60 => self.delete_request(user_id).await,
                60..65 => self.undelete_request(user_id).await,
                65..78 => self.delete_media(user_id).await,
                78..86 => self.undelete_media(user_id).await,
                86..97 => self.read_media(user_id).await,
                97 => self.delete_user(user_id).await,
                _ => self.erase(user_id).await,
            }
        }
    }

    /// Few seeds make many equal files.
    async fn create(&mut self, user_id: i64) {
        self.wait_for_jobs(BACKLOG).await;
        let mut asked = self.asked.clone();
        asked.user_id = user_id;
        let input = asked.input.as_mut().unwrap();
        input.variations = self.chance.random_range(1..=8);
        input.seed = Some(self.chance.random_range(1..=4));
        let upload = self.any_upload(user_id).await;
        let upload = upload.filter(|_| self.chance.random_bool(0.3));
        asked
            .user_media_urls
            .extend(upload.iter().map(|upload| upload.url.clone()));
        match self.client.requests().create_request(asked).await {
            Ok(created) => self.jobs += created.into_inner().jobs.len(),
            // Another has removed it.
            Err(status) if upload.is_some() && status.code() == Code::InvalidArgument => {}
            Err(status) => lost_to_others(&status),
        }
    }

    async fn upload(&mut self, user_id: i64) {
        let name = self.chance.random_range(0..5).to_string();
        let picture = picture_named(&name);
        if let Err(status) = self.client.try_upload(head(user_id), &picture).await {
            lost_to_others(&status);
        }
    }

    async fn delete_upload(&mut self, user_id: i64) {
        if let Some(upload) = self.any_upload(user_id).await {
            let delete = DeleteUploadRequest { id: upload.id };
            done_or_gone(self.client.media().delete_upload(delete).await);
        }
    }

    async fn delete_request(&mut self, user_id: i64) {
        if let Some(id) = self.any_request(user_id, false).await {
            let delete = DeleteRequestRequest {
                id,
                ..Default::default()
            };
            done_or_gone(self.client.requests().delete_request(delete).await);
        }
    }

    async fn undelete_request(&mut self, user_id: i64) {
        if let Some(id) = self.any_request(user_id, true).await {
            let undelete = UndeleteRequestRequest { id };
            done_or_gone(self.client.requests().undelete_request(undelete).await);
        }
    }

    async fn delete_media(&mut self, user_id: i64) {
        if let Some(media) = self.any_media(user_id, false).await {
            let delete = DeleteMediaRequest { id: media.id };
            done_or_gone(self.client.media().delete_media(delete).await);
        }
    }

    async fn undelete_media(&mut self, user_id: i64) {
        if let Some(media) = self.any_media(user_id, true).await {
            let undelete = UndeleteMediaRequest { id: media.id };
            done_or_gone(self.client.media().undelete_media(undelete).await);
        }
    }

    /// What is live is there, and is what was made.
    async fn read_media(&mut self, user_id: i64) {
        let Some(media) = self.any_media(user_id, false).await else {
            return;
        };
        match self.read(&media).await {
            Ok(content) => assert_eq!(sha256_hex(&content), media.sha256, "{media:?}"),
            Err(_) => {
                let ask = GetMediaRequest {
                    id: media.id,
                    ..Default::default()
                };
                let now = self.client.media().get_media(ask).await;
                let now = now.map(|told| told.into_inner().media.unwrap());
                let is_live = now.is_ok_and(|media| media.delete_time.is_none());
                assert!(!is_live || self.read(&media).await.is_ok(), "{media:?}");
            }
        }
    }

    async fn read(&self, media: &Media) -> Result<Vec<u8>, Status> {
        let ask = DownloadMediaRequest {
            id: media.id,
            offset: 0,
        };
        let mut parts = self.client.media().download_media(ask).await?.into_inner();
        let mut content = Vec::new();
        while let Some(message) = parts.message().await? {
            if let Some(download_media_response::Part::Chunk(chunk)) = message.part {
                content.extend_from_slice(&chunk);
            }
        }
        Ok(content)
    }

    /// As Identity does, which tries again if others are in the way.
    async fn delete_user(&mut self, user_id: i64) {
        use sea_orm::ConnectionTrait;
        let database = self.db.connect().await;
        let delete = format!("DELETE FROM users WHERE id = {user_id}");
        within(async {
            while let Err(error) = database.execute_unprepared(&delete).await {
                println!("Identity cannot delete a user yet: {error}");
            }
        })
        .await;
        database.close().await.unwrap();
    }

    async fn erase(&mut self, user_id: i64) {
        let erase = EraseUserRequest { user_id };
        if let Err(status) = within(self.client.admin().erase_user(erase)).await {
            lost_to_others(&status);
        }
    }

    async fn any_upload(&mut self, user_id: i64) -> Option<Upload> {
        let list = ListUploadsRequest {
            user_id,
            ..Default::default()
        };
        let listed = self.client.media().list_uploads(list).await.unwrap();
        let uploads = listed.into_inner().uploads;
        uploads.choose(&mut self.chance).cloned()
    }

    async fn any_request(&mut self, user_id: i64, deleted: bool) -> Option<i64> {
        let list = ListRequestsRequest {
            user_id,
            show_deleted: deleted,
            show_archived: true,
            ..Default::default()
        };
        let listed = self.client.requests().list_requests(list).await.unwrap();
        let mut requests = listed.into_inner().requests;
        requests.retain(|request| request.delete_time.is_some() == deleted);
        requests.choose(&mut self.chance).map(|request| request.id)
    }

    async fn any_media(&mut self, user_id: i64, deleted: bool) -> Option<Media> {
        let list = ListMediaRequest {
            user_id,
            show_deleted: deleted,
            page_size: 100,
            ..Default::default()
        };
        let listed = self.client.media().list_media(list).await.unwrap();
        let mut media = listed.into_inner().media;
        media.retain(|media| media.delete_time.is_some() == deleted);
        media.choose(&mut self.chance).cloned()
    }

    /// Waits until so many at most wait or run.
    async fn wait_for_jobs(&self, most: i64) {
        within(async {
            loop {
                let all = CountJobsRequest::default();
                let counted = self.client.jobs().count_jobs(all).await;
                let counted = counted.unwrap().into_inner();
                if counted.pending + counted.processing <= most {
                    break;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }
}

/// What was found a moment ago may be gone, or its request be deleted by now.
fn done_or_gone<T>(answer: Result<Response<T>, Status>) {
    if let Err(status) = answer {
        let is_gone = [Code::NotFound, Code::FailedPrecondition].contains(&status.code());
        if !is_gone {
            lost_to_others(&status);
        }
    }
}

/// Identity takes what is a user's in an order of its own, so a call may meet it halfway. Its caller would try again.
fn lost_to_others(status: &Status) {
    let is_told_so = status
        .message()
        .contains("another call changed the same data");
    assert!(
        is_told_so && status.code() == Code::Unavailable,
        "{status:?}"
    );
}

/// The run has met what it is for.
async fn assert_lively(db: &TestDatabase) {
    for (what, count) in [
        ("live media", "generation_media WHERE deleted_at IS NULL"),
        (
            "media without files",
            "generation_media WHERE content_deleted_at IS NOT NULL",
        ),
        (
            "media that share an object",
            "generation_media AS one JOIN generation_media AS two ON one.storage_key = two.storage_key AND one.id < two.id",
        ),
        (
            "requests with purged jobs",
            "generation_requests WHERE purged_jobs > 0",
        ),
        (
            "erased users",
            "generation_erasures WHERE ended_at IS NOT NULL",
        ),
    ] {
        let count = format!("SELECT CAST(COUNT(*) AS TEXT) FROM {count}");
        assert_ne!(db.texts(&count).await, ["0"], "no {what}");
    }
}

/// When all is done that is left to do, every file that a row promises is there, and no other one is.
async fn assert_agreed(db: &TestDatabase) {
    // As if minutes had passed since the servers ended, which may have been in the middle of a step.
    db.execute(
        "UPDATE generation_retention_steps SET held_until = NULL;
         UPDATE generation_erasures SET claimed_until = NULL",
    )
    .await;
    let mut config = configuration(db, db.media.path());
    config.retention.deleted_media = Duration::from_millis(1);
    let app = open_app(&config).await.unwrap();
    while app.go_on_erasing().await.unwrap() > 0 {}
    for run in app.run_retention(None).await {
        assert!(matches!(run.end, RunEnd::Finished), "{run:?}");
    }
    let check = app.check_storage().await.unwrap();
    assert!(check.rows > 0);
    assert_eq!(check.amiss, Vec::new());
    // What was stored for jobs that were stopped meanwhile, and of users whom Identity has deleted.
    let all = Removal {
        age: Duration::ZERO,
        mode: RemovalMode::On,
        share: None,
    };
    let sweep = app.sweep_storage(&all).await.unwrap();
    assert_eq!(sweep.removed, sweep.orphans, "{sweep:?}");
    let check = app.check_storage().await.unwrap();
    assert_eq!(check.amiss, Vec::new());
    assert_eq!(objects(&app).await, named(db).await);
}

async fn objects(app: &App) -> Vec<String> {
    let listed = app.storage.list().map(|object| object.unwrap());
    let mut paths: Vec<String> = listed
        .map(|object| object.key.path().to_owned())
        .collect()
        .await;
    paths.sort();
    paths
}

async fn named(db: &TestDatabase) -> Vec<String> {
    let mut named = db
        .texts(
            "SELECT storage_key FROM generation_media WHERE storage_key IS NOT NULL
             UNION SELECT storage_key FROM generation_uploads",
        )
        .await;
    named.sort();
    named
}
