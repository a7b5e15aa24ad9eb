//! The storage is away for longer than anybody tries again by itself: nothing is lost, made anew, or counted.

use std::fs;
use std::path::Path;
use std::time::Duration;

use atelier::config::Config;
use atelier::media::S3Settings;
use atelier::rpc::proto::{DownloadMediaRequest, ErrorReason, JobStatus, Media};
use atelier::server::{Role, Server, StartError};
use image::{Rgb, RgbImage};
use tonic::Code;

use crate::support::bucket::{
    BUCKET, OUTAGE, keep_media_in, s3_settings, serve_bucket_with_outages,
};
use crate::support::client::{Client, scripted_request};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::process::Process;
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{TestServer, configuration, within};

const PENDING: JobStatus = JobStatus::Pending;
const PROCESSING: JobStatus = JobStatus::Processing;
const COMPLETED: JobStatus = JobStatus::Completed;
const LOOK_AGAIN: Duration = Duration::from_millis(10);

on_both_databases! {
    async fn an_outage_of_the_storage_costs_no_attempt_and_nothing_is_made_twice(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let (bucket, outage) = serve_bucket_with_outages(&root).await;
        let job_timeout = Duration::from_secs(1);
        let server = TestServer::start_with(&db, |config| {
            keep_media_in(&bucket, config);
            config.executor.max_attempts = 1;
            config.executor.job_timeout = job_timeout;
        }).await;
        let feature = server.scripted_feature().await;
        let scripts = [
            (Script::new(&["succeed"]).gated(), 1),
            (Script::new(&["several"]).gated(), 3),
            (Script::new(&["succeed"]).with_task().gated(), 1),
        ];
        let mut jobs = Vec::new();
        for (script, _) in &scripts {
            jobs.push(server.create(scripted_request(feature, script)).await.1[0].id);
            script.wait_until_submitted(1).await;
        }
        // Before, no job would be begun.
        outage.begin();
        scripts.iter().for_each(|(script, _)| script.open_gate());
        until_spooled(server.media_folder(), 3).await;

        // A slot is free, but what it made could not be stored.
        let late = Script::new(&["succeed"]);
        let late_job = server.create(scripted_request(feature, &late)).await.1.remove(0);
        outage.lasts(job_timeout * 2).await;
        assert_eq!(late.calls(), []);
        assert_eq!(server.job(late_job.id).await.status(), PENDING);
        for job in &jobs {
            let job = server.job(*job).await;
            assert_eq!(job.status(), PROCESSING, "{job:?}");
            assert_tells_nothing(&format!("{job:?}"), &bucket);
        }
        outage.end();
        for (job, (script, files)) in jobs.into_iter().zip(scripts) {
            assert_made_once(&server, job, &script, &[PENDING, PROCESSING, COMPLETED]).await;
            let media = server.media_of(job).await;
            assert_eq!(media.len(), files);
            for media in &media {
                assert!(!server.content_of(media).await.is_empty());
            }
        }
        assert_made_once(&server, late_job.id, &late, &[PENDING, PROCESSING, COMPLETED]).await;
        until_spooled(server.media_folder(), 0).await;
    }

    async fn what_does_not_fit_the_spool_waits_in_memory(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let (bucket, outage) = serve_bucket_with_outages(&root).await;
        let server = TestServer::start_with(&db, |config| {
            keep_media_in(&bucket, config);
            config.executor.max_attempts = 1;
            config.executor.spool_bytes = 1024;
        }).await;
        let noise = root.path().join("noise.png");
        let pixel = |x: u32, y: u32| Rgb([(x * y * 73) as u8, (x * 31 + y * y) as u8, (x ^ y) as u8]);
        RgbImage::from_fn(64, 64, pixel).save(&noise).unwrap();
        assert!(fs::metadata(&noise).unwrap().len() > 1024);
        let script = Script::delivering(&noise).gated();
        let job = server.create_scripted(&script).await;
        script.wait_until_submitted(1).await;
        outage.begin();
        script.open_gate();
        script.wait_until(|calls| calls.iter().any(|call| call.name == "done")).await;
        outage.lasts(Duration::from_secs(1)).await;
        assert_eq!(spooled(server.media_folder()), 0);
        outage.end();
        assert_made_once(&server, job.id, &script, &[PENDING, PROCESSING, COMPLETED]).await;
    }

    async fn a_folder_that_takes_no_files_costs_no_attempt_either(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.executor.max_attempts = 1).await;
        // No folder can be made where a file stands.
        let obstacle = server.media_folder().join("jobs");
        fs::write(&obstacle, "").unwrap();
        let script = Script::new(&["succeed"]);
        let job = server.create_scripted(&script).await;
        until_spooled(server.media_folder(), 1).await;
        fs::remove_file(&obstacle).unwrap();
        assert_made_once(&server, job.id, &script, &[PENDING, PROCESSING, COMPLETED]).await;
        until_spooled(server.media_folder(), 0).await;
    }

    async fn a_folder_that_is_not_mounted_takes_nothing_and_nothing_of_it_is_gone(db: TestDatabase) {
        let place = tempfile::tempdir().unwrap();
        let (folder, aside) = (place.path().join("media"), place.path().join("aside"));
        let server = TestServer::start_with(&db, |config| config.storage.folder = folder.clone()).await;
        let (feature, media) = make_one(&server).await;
        for mount_point in [false, true] {
            let script = Script::new(&["succeed"]).gated();
            let job = server.create(scripted_request(feature, &script)).await.1.remove(0);
            script.wait_until_submitted(1).await;
            fs::rename(&folder, &aside).unwrap();
            if mount_point {
                fs::create_dir(&folder).unwrap();
            }
            script.open_gate();
            until_spooled(server.media_folder(), 1).await;
            assert_eq!(server.job(job.id).await.status(), PROCESSING);
            assert_unavailable(&server, &media).await;
            assert_untouched(&folder, mount_point);
            if mount_point {
                fs::remove_dir(&folder).unwrap();
            }
            fs::rename(&aside, &folder).unwrap();
            assert_made_once(&server, job.id, &script, &[PENDING, PROCESSING, COMPLETED]).await;
            for media in [&media, &server.media_of(job.id).await[0]] {
                assert!(!server.content_of(media).await.is_empty());
            }
        }
    }

    async fn a_start_without_the_folder_is_a_start_without_the_storage_only(db: TestDatabase) {
        let place = tempfile::tempdir().unwrap();
        let (folder, aside) = (place.path().join("media"), place.path().join("aside"));
        let keep = |config: &mut Config| {
            config.storage.folder = folder.clone();
        };
        let server = TestServer::start_with(&db, keep).await;
        let (feature, media) = make_one(&server).await;
        server.stop().await;
        for (instead, make) in [
            ("nothing", (|_| Ok(())) as fn(&Path) -> std::io::Result<()>),
            ("an empty mount point", |folder| fs::create_dir(folder)),
            ("a file", |folder| fs::write(folder, "")),
        ] {
            fs::rename(&folder, &aside).unwrap();
            make(&folder).unwrap();
            let server = TestServer::start_with(&db, keep).await;
            assert_unavailable(&server, &media).await;
            let listed = server.media_of(media.job_id.unwrap()).await.remove(0);
            assert_eq!(listed.id, media.id, "{instead}");
            let script = Script::new(&["succeed"]);
            let job = server.create(scripted_request(feature, &script)).await.1.remove(0);
            assert_eq!(server.job(job.id).await.status(), PENDING, "{instead}");
            match folder.is_dir() {
                true => {
                    assert_untouched(&folder, true);
                    fs::remove_dir(&folder).unwrap();
                }
                false => drop(fs::remove_file(&folder)),
            }
            fs::rename(&aside, &folder).unwrap();
            assert_eq!(server.ended(job.id).await.statuses(), [PENDING, PROCESSING, COMPLETED], "{instead}");
            assert!(!server.content_of(&media).await.is_empty());
            server.stop().await;
        }
    }

    async fn a_start_during_an_outage_of_the_bucket_is_one_unless_nothing_was_ever_kept_there(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let (bucket, outage) = serve_bucket_with_outages(&root).await;
        let mut config = configuration(&db, root.path());
        keep_media_in(&bucket, &mut config);
        outage.begin();
        assert!(matches!(Server::start(config, Role::Api).await, Err(StartError::Storage(_))));
        outage.end();
        let keep = |config: &mut Config| keep_media_in(&bucket, config);
        let server = TestServer::start_with(&db, keep).await;
        let (feature, _) = make_one(&server).await;
        server.stop().await;

        outage.begin();
        let api = TestServer::start_as(Role::Api, &db, keep).await;
        let worker = api.beside(Role::Worker, &db, keep).await;
        let script = Script::new(&["succeed"]);
        let job = api.create(scripted_request(feature, &script)).await.1[0].id;
        assert_eq!(api.job(job).await.status(), PENDING);
        outage.end();
        assert_eq!(api.ended(job).await.statuses(), [PENDING, PROCESSING, COMPLETED]);
        worker.stop().await;
    }

    async fn a_killed_worker_goes_on_with_the_output_that_it_could_not_store(db: TestDatabase) {
        let (root, media) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (bucket, outage) = serve_bucket_with_outages(&root).await;
        let first = serve(&db, media.path(), &bucket).await;
        let script = Script::new(&["succeed"]).gated();
        let job = first.create_scripted(&script).await;
        script.wait_until_submitted(1).await;
        outage.begin();
        script.open_gate();
        until_spooled(media.path(), 1).await;
        first.kill();

        let second = serve(&db, media.path(), &bucket).await;
        outage.lasts(Duration::from_secs(1)).await;
        assert_eq!(second.job(job.id).await.status(), PROCESSING);
        outage.end();
        assert_made_once(&second, job.id, &script, &[PENDING, PROCESSING, COMPLETED]).await;
        until_spooled(media.path(), 0).await;
    }

    async fn a_killed_worker_that_is_back_too_late_stores_its_output_with_the_next_attempt(db: TestDatabase) {
        let (root, media) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (bucket, outage) = serve_bucket_with_outages(&root).await;
        let first = serve_with(&db, media.path(), &bucket, &["executor.max_attempts=2", "executor.lease=1s", "database.lock_timeout=500ms"]).await;
        let script = Script::new(&["succeed"]).gated();
        let job = first.create_scripted(&script).await;
        script.wait_until_submitted(1).await;
        outage.begin();
        script.open_gate();
        until_spooled(media.path(), 1).await;
        first.kill();
        let other = TestServer::start_api(&db).await;
        within(async {
            while other.app().rescue_jobs().await.unwrap() == 0 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }).await;
        outage.end();

        let second = serve(&db, media.path(), &bucket).await;
        let ended = second.ended(job.id).await;
        assert_eq!(ended.statuses(), [PENDING, PROCESSING, PENDING, PROCESSING, COMPLETED]);
        // Nobody else could know that the lost worker had made something.
        assert_eq!(ended.job.attempt, 2);
        assert_eq!(script.calls_of("submit").len(), 1);
        until_spooled(media.path(), 0).await;
    }

    async fn a_stopped_worker_hands_the_job_back_and_stores_its_output_after_the_restart(db: TestDatabase) {
        let (root, media) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (bucket, outage) = serve_bucket_with_outages(&root).await;
        let mut first = serve(&db, media.path(), &bucket).await;
        let script = Script::new(&["succeed"]).gated();
        let job = first.create_scripted(&script).await;
        script.wait_until_submitted(1).await;
        outage.begin();
        script.open_gate();
        until_spooled(media.path(), 1).await;
        first.signal("TERM");
        assert!(first.exit().await.success());

        let second = serve(&db, media.path(), &bucket).await;
        let waiting = second.job(job.id).await;
        assert_eq!((waiting.status(), waiting.attempt), (PENDING, 0));
        outage.end();
        let statuses = [PENDING, PROCESSING, PENDING, PROCESSING, COMPLETED];
        assert_made_once(&second, job.id, &script, &statuses).await;
        until_spooled(media.path(), 0).await;
    }

    async fn a_download_during_an_outage_tells_nothing_of_the_storage(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let (bucket, outage) = serve_bucket_with_outages(&root).await;
        let server = TestServer::start_with(&db, |config| keep_media_in(&bucket, config)).await;
        let script = Script::new(&["succeed"]);
        let job = server.create_scripted(&script).await;
        server.ended(job.id).await;
        let id = server.media_of(job.id).await[0].id;
        outage.begin();
        let wanted = DownloadMediaRequest { id, offset: 0 };
        let refused = within(server.media().download_media(wanted)).await.map(|_| ());
        assert_tells_nothing(&format!("{refused:?}"), &bucket);
        refusal(refused).is(Code::Unavailable, ErrorReason::StorageUnavailable);
    }
}

/// A scripted feature, and what one job of it has made.
async fn make_one(server: &TestServer) -> (i64, Media) {
    let feature = server.scripted_feature().await;
    let script = Script::new(&["succeed"]);
    let job = server.create(scripted_request(feature, &script)).await.1[0].id;
    server.ended(job).await;
    (feature, server.media_of(job).await.remove(0))
}

async fn assert_unavailable(server: &TestServer, media: &Media) {
    let wanted = DownloadMediaRequest {
        id: media.id,
        offset: 0,
    };
    let refused = server.media().download_media(wanted).await.map(|_| ());
    refusal(refused).is(Code::Unavailable, ErrorReason::StorageUnavailable);
}

fn assert_untouched(folder: &Path, exists: bool) {
    assert_eq!(folder.exists(), exists);
    let entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().collect();
    assert!(entries.is_empty(), "{entries:?}");
}

/// A server that keeps its media in the bucket. Its jobs have a single attempt.
async fn serve(db: &TestDatabase, media: &Path, bucket: &S3Settings) -> Process {
    serve_with(db, media, bucket, &[]).await
}

async fn serve_with(
    db: &TestDatabase,
    media: &Path,
    bucket: &S3Settings,
    more: &[&str],
) -> Process {
    let settings = [
        s3_settings(bucket).as_slice(),
        &[
            "executor.max_attempts=1".to_owned(),
            // No lease runs out while a process starts.
            "executor.lease=30s".to_owned(),
        ],
    ]
    .concat();
    let settings = settings.iter().map(String::as_str);
    let settings: Vec<&str> = settings.chain(more.iter().copied()).collect();
    Process::serve(db, media, &settings).await
}

async fn assert_made_once(client: &Client, job_id: i64, script: &Script, statuses: &[JobStatus]) {
    let ended = client.ended(job_id).await;
    assert_eq!(ended.statuses(), statuses, "{:?}", ended.job);
    assert_eq!(ended.job.attempt, 1);
    assert_eq!(script.calls_of("submit").len(), 1);
    assert!(script.calls_of("done").len() <= 1);
    assert!(script.calls_of("find").is_empty());
}

/// What a client sees must not name the bucket, its service or what that said.
fn assert_tells_nothing(text: &str, bucket: &S3Settings) {
    let endpoint = bucket.endpoint.as_ref().unwrap();
    let address = format!("127.0.0.1:{}", endpoint.port().unwrap());
    for secret in [
        BUCKET,
        OUTAGE,
        address.as_str(),
        "<Error>",
        "ServiceUnavailable",
    ] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

/// Waits until so many outputs wait in the spool. A file gives no signal, so it is looked for again and again.
async fn until_spooled(media: &Path, outputs: usize) {
    within(async {
        while spooled(media) != outputs {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}

/// Outputs in the spool that are whole.
fn spooled(media: &Path) -> usize {
    let folders = |path: &Path| -> Vec<_> {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let databases = folders(&media.join("spool"));
    let outputs = databases.iter().flat_map(|database| folders(database));
    outputs
        .filter(|output| {
            let name = output.file_name().unwrap().to_string_lossy();
            !name.starts_with('.') && output.join("output.json").exists()
        })
        .count()
}
