//! What a bucket may be like: how it is named, how large its objects are, how its service and the way to it fail.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use atelier::media::{
    LinkSettings, S3Settings, Storage, StorageError, StorageKey, StorageSettings,
};
use atelier::rpc::proto::{JobStatus, ListMediaRequest};
use bytes::Bytes;
use codec::Format;
use futures::TryStreamExt;
use reqwest::{Proxy, StatusCode};
use s3s::access::{S3Access, S3AccessContext};
use s3s::{S3Result, s3_error};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::support::bucket::{
    keep_media_in, serve_bucket, serve_bucket_at, serve_bucket_by, serve_bucket_holding,
    serve_bucket_refusing,
};
use crate::support::client::scripted_request;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::http::{self, browser};
use crate::support::process::Process;
use crate::support::proxy::TcpProxy;
use crate::support::script::Script;
use crate::support::server::{SIGNING_KEY, TestServer, within};

const MIB: usize = 1 << 20;
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Notes what is asked of it, refuses what it is told to, and who shows no credentials.
#[derive(Clone, Default)]
struct Witness {
    asked: Arc<Mutex<Vec<String>>>,
    /// The call to refuse, and how often.
    refuses: Option<(&'static str, Arc<AtomicUsize>)>,
}

impl Witness {
    fn refusing(call: &'static str, times: usize) -> Self {
        Self {
            refuses: Some((call, Arc::new(AtomicUsize::new(times)))),
            ..Self::default()
        }
    }

    fn count(&self, call: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|it| *it == call).count()
    }
}

#[async_trait]
impl S3Access for Witness {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let call = context.s3_op().name().to_owned();
        self.asked.lock().unwrap().push(call.clone());
        if let Some((refused, left)) = &self.refuses
            && call == *refused
        {
            let less = |left: usize| left.checked_sub(1);
            if left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
                .is_ok()
            {
                return Err(s3_error!(ServiceUnavailable, "refused by the test"));
            }
        }
        match context.credentials() {
            Some(_) => Ok(()),
            None => Err(s3_error!(AccessDenied, "unsigned")),
        }
    }
}

/// A service that knows no checksums but that of the signature, as many do not.
struct Plain;

#[async_trait]
impl S3Access for Plain {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let mut names = context.headers().keys().map(|name| name.as_str());
        let is_new = |name: &str| {
            name.starts_with("x-amz-checksum") || name == "x-amz-sdk-checksum-algorithm"
        };
        if context.s3_op().name() == "DeleteObjects" || names.any(is_new) {
            return Err(s3_error!(NotImplemented, "a header that is not known here"));
        }
        Ok(())
    }
}

fn open(settings: S3Settings) -> Storage {
    let links = LinkSettings {
        server_url: Url::parse("http://media.example:50051").unwrap(),
        public_url: None,
        signing_key: Some(SecretString::from(SIGNING_KEY)),
        lifetime: Duration::from_secs(600),
    };
    Storage::open(&StorageSettings::S3(settings), links).unwrap()
}

fn key() -> StorageKey {
    StorageKey::for_output(42, "a lease", 0, Format::Png)
}

/// So many bytes, no part of which is like another.
fn content(length: usize) -> Bytes {
    let words = (0..length as u32).step_by(4).flat_map(u32::to_le_bytes);
    words.collect()
}

async fn read(storage: &Storage) -> Bytes {
    let object = within(storage.open_object(&key(), None)).await.unwrap();
    let chunks: Vec<Bytes> = within(object.stream.try_collect()).await.unwrap();
    chunks.concat().into()
}

/// The settings, with the service behind a proxy that can fail.
fn behind(proxy: &TcpProxy, settings: S3Settings) -> S3Settings {
    S3Settings {
        endpoint: Some(Url::parse(&proxy.url()).unwrap()),
        ..settings
    }
}

async fn proxied(settings: S3Settings, first_bytes: Option<usize>) -> (TcpProxy, Storage) {
    let endpoint = settings.endpoint.clone().unwrap();
    let proxy = TcpProxy::start(endpoint.as_str().trim_end_matches('/'), first_bytes).await;
    let storage = open(behind(&proxy, settings));
    (proxy, storage)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_goes_in_parts_and_is_served_as_what_it_is() {
    let root = tempfile::tempdir().unwrap();
    let witness = Witness::default();
    let storage = open(serve_bucket_by(&root, witness.clone()).await);
    let content = content(20 * MIB);
    storage.put(&key(), content.clone(), None).await.unwrap();
    assert_eq!(
        (witness.count("PutObject"), witness.count("UploadPart")),
        (0, 3)
    );
    assert!(read(&storage).await == content);
    let link = storage
        .download_url(7, &key(), atelier::app::Clock::system().now())
        .await;
    let answer = within(browser().get(link.unwrap().url).send())
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "image/png");
    assert_eq!(
        answer.headers()["cache-control"],
        "private, max-age=31536000, immutable"
    );
    assert!(answer.bytes().await.unwrap() == content);
    storage
        .put(&key(), content.slice(..8 * MIB), None)
        .await
        .unwrap();
    assert_eq!(
        (witness.count("PutObject"), witness.count("UploadPart")),
        (1, 3)
    );
    assert!(
        read(&storage).await == content.slice(..8 * MIB),
        "a smaller one takes its place"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_fails_is_sent_again() {
    let root = tempfile::tempdir().unwrap();
    let witness = Witness::refusing("UploadPart", 2);
    let storage = open(serve_bucket_by(&root, witness.clone()).await);
    let content = content(17 * MIB);
    within(storage.put(&key(), content.clone(), None))
        .await
        .unwrap();
    assert_eq!(witness.count("UploadPart"), 5);
    assert_eq!(witness.count("CreateMultipartUpload"), 1);
    assert!(read(&storage).await == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_object_whose_parts_do_not_all_come_nothing_is_left() {
    for refused in ["UploadPart", "CompleteMultipartUpload"] {
        let root = tempfile::tempdir().unwrap();
        let witness = Witness::refusing(refused, usize::MAX);
        let storage = open(serve_bucket_by(&root, witness.clone()).await);
        let error = within(storage.put(&key(), content(9 * MIB), None))
            .await
            .unwrap_err();
        assert!(matches!(error, StorageError::Failed { .. }), "{error}");
        assert_eq!(witness.count("AbortMultipartUpload"), 1, "{refused}");
        let missing = storage.head(&key()).await.unwrap_err();
        assert!(
            matches!(missing, StorageError::NotFound { .. }),
            "{missing}"
        );
        assert!(storage.is_away());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_costs_an_object_no_byte() {
    let root = tempfile::tempdir().unwrap();
    let settings = serve_bucket(&root).await;
    let content = content(3 * MIB);
    open(settings.clone())
        .put(&key(), content.clone(), None)
        .await
        .unwrap();
    // In the head of the answer, and in the middle of the object.
    for first_bytes in [10, MIB] {
        let (_proxy, storage) = proxied(settings.clone(), Some(first_bytes)).await;
        assert!(read(&storage).await == content, "{first_bytes}");
    }
    let (proxy, storage) = proxied(settings.clone(), Some(0)).await;
    let fewer = content.slice(MIB..);
    within(storage.put(&key(), fewer.clone(), None))
        .await
        .unwrap();
    proxy.cut();
    assert!(read(&storage).await == fewer);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_stalls_is_waited_for() {
    let root = tempfile::tempdir().unwrap();
    let (proxy, storage) = proxied(serve_bucket(&root).await, None).await;
    let content = content(3 * MIB);
    proxy.set_silent(true);
    let key = key();
    let put = storage.put(&key, content.clone(), None);
    let (put, ()) = tokio::join!(within(put), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        proxy.set_silent(false);
    });
    put.unwrap();
    let object = storage.open_object(&key, None).await.unwrap();
    proxy.set_silent(true);
    let read = object.stream.try_collect::<Vec<Bytes>>();
    let (chunks, ()) = tokio::join!(within(read), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        proxy.set_silent(false);
    });
    assert!(chunks.unwrap().concat() == content);
}

#[tokio::test]
async fn links_are_signed_for_the_host_that_clients_know() {
    let root = tempfile::tempdir().unwrap();
    let mut settings = serve_bucket(&root).await;
    let mut outside = settings.endpoint.clone().unwrap();
    outside.set_host(Some("localhost")).unwrap();
    settings.link_endpoint = Some(outside.clone());
    let storage = open(settings);
    storage.put(&key(), content(100), None).await.unwrap();
    let link = storage
        .download_url(7, &key(), atelier::app::Clock::system().now())
        .await;
    let link = link.unwrap().url;
    let host = format!("{outside}pictures/");
    assert!(link.starts_with(&host), "{link}");
    assert_eq!(storage.object_url(&key()), format!("{host}{}", key()));
    assert_eq!(
        within(browser().get(&link).send()).await.unwrap().status(),
        StatusCode::OK
    );
    // By another name it is another's link.
    let inside = link.replace("localhost", "127.0.0.1");
    assert_eq!(
        within(browser().get(inside).send()).await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
    let other = link.replace("-0.png", "-1.png");
    assert_eq!(
        within(browser().get(other).send()).await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
}

on_both_databases! {
    async fn a_service_that_knows_no_checksums_is_good_enough(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let bucket = serve_bucket_by(&root, Plain).await;
        let server = TestServer::start_with(&db, |config| keep_media_in(&bucket, config)).await;
        let script = Script::new(&["succeed"]);
        let job = server.create_scripted(&script).await;
        server.completed(job.id).await;
        let media = server.media_of(job.id).await.remove(0);
        assert_eq!(server.content_of(&media).await.len() as i64, media.file_size);
        let storage = open(bucket);
        storage.put(&key(), content(9 * MIB), None).await.unwrap();
        storage.delete(&key()).await.unwrap();
    }

    async fn a_bucket_may_be_named_in_the_host(db: TestDatabase) {
        let (root, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (bucket, proxy) = serve_bucket_at(&root, "objects.example").await;
        let settings = [
            "storage.backend=s3".to_owned(),
            format!("storage.bucket={}", bucket.bucket),
            "storage.region=us-east-1".to_owned(),
            format!("storage.endpoint={}", bucket.endpoint.unwrap()),
            "storage.access_key_id=the-id".to_owned(),
            format!("storage.secret_access_key={}", bucket.secret_access_key.unwrap().expose_secret()),
        ];
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let server = Process::serve_behind(proxy.as_str(), &db, folder.path(), &settings).await;
        let script = Script::new(&["succeed"]);
        let job = server.create_scripted(&script).await;
        server.completed(job.id).await;
        let media = server.media_of(job.id).await.remove(0);
        assert!(media.download_url.starts_with("http://pictures.objects.example/jobs/"), "{}", media.download_url);
        let through = http::client().proxy(Proxy::http(proxy.as_str()).unwrap()).build().unwrap();
        let get = async |url: &str| within(through.get(url).send()).await.unwrap();
        let answer = get(&media.download_url).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.bytes().await.unwrap(), server.content_of(&media).await);
        let forged = media.download_url.replace("pictures.objects", "postcards.objects");
        assert_ne!(get(&forged).await.status(), StatusCode::OK);
        assert_eq!(get(&media.media_url).await.status(), StatusCode::FORBIDDEN, "unsigned");
    }

    async fn a_job_whose_store_answers_slowly_is_nobody_elses_meanwhile(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let (bucket, hold) = serve_bucket_holding(&root, "/jobs/").await;
        let lease = Duration::from_secs(1);
        let server = TestServer::start_with(&db, |config| {
            keep_media_in(&bucket, config);
            config.executor.lease = lease;
            config.executor.heartbeat = Duration::from_millis(100);
        }).await;
        let script = Script::new(&["succeed"]);
        let job = server.create_scripted(&script).await;
        hold.begun().await;
        let began = Instant::now();
        while began.elapsed() < lease * 2 {
            assert_eq!(server.app().rescue_jobs().await.unwrap(), 0);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        assert_eq!(server.job(job.id).await.status(), JobStatus::Processing);
        assert_eq!(server.media_of(job.id).await, []);
        hold.end();
        let ended = server.ended(job.id).await;
        assert_eq!(ended.statuses(), [JobStatus::Pending, JobStatus::Processing, JobStatus::Completed]);
        assert_eq!((ended.job.attempt, script.calls_of("submit").len()), (1, 1));
    }

    async fn of_outputs_of_which_one_cannot_be_stored_none_is_seen_until_all_are(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let (bucket, refusal) = serve_bucket_refusing(&root, "-1.png").await;
        let server = TestServer::start_with(&db, |config| keep_media_in(&bucket, config)).await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&["several"]);
        let job = server.create(scripted_request(feature, &script)).await.1.remove(0);
        refusal.refused().await;
        refusal.refused().await;
        assert_eq!(server.job(job.id).await.status(), JobStatus::Processing);
        assert_eq!(server.media_of(job.id).await, []);
        let all = ListMediaRequest { show_deleted: true, ..Default::default() };
        assert_eq!(server.media().list_media(all).await.unwrap().into_inner().media, []);
        refusal.lift();
        server.completed(job.id).await;
        let media = server.media_of(job.id).await;
        assert_eq!(media.len(), 3);
        for media in media {
            assert_eq!(server.content_of(&media).await.len() as i64, media.file_size);
        }
        assert_eq!(script.calls_of("submit").len(), 1, "nothing is made twice");
    }
}

/// What is written is bounded as on a full disk, and the bound is lifted while the server runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_costs_a_job_time_and_nothing_else() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let folder = tempfile::tempdir().unwrap();
    let server = Process::serve_bounded(&db, folder.path(), &["executor.max_attempts=1"]).await;
    let feature = server.scripted_feature().await;
    let file = folder.path().join("large.png");
    let noise = image::RgbImage::from_fn(300, 300, |x, y| {
        image::Rgb([(x * y) as u8, (x * 31 + y * y) as u8, (x ^ (y * 7)) as u8])
    });
    std::fs::write(&file, codec::picture::encode(&noise, Format::Png).unwrap()).unwrap();
    let size = file.metadata().unwrap().len();
    assert!(size > 50_000, "{size}");
    server.limit_files(Some(size / 2));
    let script = Script::delivering(&file);
    let job = server
        .create(scripted_request(feature, &script))
        .await
        .1
        .remove(0);
    server.until_logged("cannot store an output yet").await;
    assert_ne!(server.job(job.id).await.status(), JobStatus::Failed);
    assert_eq!(server.media_of(job.id).await, []);
    server.limit_files(None);
    server.completed(job.id).await;
    let media = server.media_of(job.id).await.remove(0);
    assert_eq!(
        server.content_of(&media).await.len() as i64,
        media.file_size
    );
}
