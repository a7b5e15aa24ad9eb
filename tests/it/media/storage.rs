//! Object storage in a folder and in a bucket of a server that speaks S3.

use std::time::Duration;

use atelier::app::Clock;
use atelier::domain::{self, FileName, MediaRole};
use atelier::media::{
    ByteRange, LinkError, LinkSettings, Linked, SignedLink, Storage, StorageError, StorageKey,
    StorageSettings,
};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use codec::Format;
use futures::TryStreamExt;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::net::TcpListener;
use url::Url;

use crate::support::bucket::{BUCKET, serve_bucket};
use crate::support::server::SIGNING_KEY;

const CONTENT: &[u8] = b"0123456789";

/// A storage, and the folder that its objects end up in.
struct Place {
    storage: Storage,
    root: TempDir,
}

fn links() -> LinkSettings {
    LinkSettings {
        server_url: Url::parse("http://media.example:50051").unwrap(),
        public_url: None,
        signing_key: Some(SecretString::from(SIGNING_KEY)),
        lifetime: Duration::from_secs(600),
    }
}

fn local_settings(root: &TempDir) -> StorageSettings {
    let folder = root.path().join("media");
    StorageSettings::Local { folder }
}

async fn folder() -> Place {
    let root = tempfile::tempdir().unwrap();
    let storage = Storage::open(&local_settings(&root), links()).unwrap();
    Place { storage, root }
}

async fn bucket() -> Place {
    let root = tempfile::tempdir().unwrap();
    let settings = StorageSettings::S3(serve_bucket(&root).await);
    let storage = Storage::open(&settings, links()).unwrap();
    Place { storage, root }
}

/// One storage of each kind.
async fn places() -> [Place; 2] {
    [folder().await, bucket().await]
}

fn key(index: usize) -> StorageKey {
    StorageKey::for_output(42, "a lease", index, Format::Png)
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

async fn read(storage: &Storage, range: Option<ByteRange>) -> Vec<u8> {
    let object = storage.open_object(&key(0), range).await.unwrap();
    let chunks: Vec<Bytes> = object.stream.try_collect().await.unwrap();
    let content = chunks.concat();
    assert_eq!(content.len() as u64, object.range.end - object.range.start);
    content
}

#[tokio::test]
async fn an_object_is_read_back_as_it_was_written() {
    for Place {
        storage,
        root: _root,
    } in places().await
    {
        storage.check().await.unwrap();
        storage
            .put(&key(0), Bytes::from_static(CONTENT), None)
            .await
            .unwrap();
        assert_eq!(read(&storage, None).await, CONTENT, "{storage:?}");
        let facts = storage.head(&key(0)).await.unwrap();
        assert_eq!(facts.total_size, 10);
        assert!(facts.last_modified > at(1_700_000_000));
    }
}

#[tokio::test]
async fn an_object_larger_than_a_chunk_is_read_back_whole() {
    for Place {
        storage,
        root: _root,
    } in places().await
    {
        let content: Bytes = (0..3_000_000_u32).map(|byte| byte as u8).collect();
        storage.put(&key(0), content.clone(), None).await.unwrap();
        assert!(read(&storage, None).await == content, "{storage:?}");
    }
}

#[tokio::test]
async fn a_range_reads_its_bytes_and_knows_the_whole_size() {
    for Place {
        storage,
        root: _root,
    } in places().await
    {
        storage
            .put(&key(0), Bytes::from_static(CONTENT), None)
            .await
            .unwrap();
        let range = |start, end| Some(ByteRange { start, end });
        assert_eq!(read(&storage, range(2, 5)).await, b"234");
        assert_eq!(read(&storage, range(8, u64::MAX)).await, b"89");
        let object = storage.open_object(&key(0), range(2, 5)).await.unwrap();
        assert_eq!((object.facts.total_size, object.range), (10, 2..5));
    }
}

#[tokio::test]
async fn a_range_past_the_end_says_where_the_end_is() {
    for Place {
        storage,
        root: _root,
    } in places().await
    {
        storage
            .put(&key(0), Bytes::from_static(CONTENT), None)
            .await
            .unwrap();
        for (start, end) in [(10, 12), (4, 4)] {
            let error = storage
                .open_object(&key(0), Some(ByteRange { start, end }))
                .await;
            let error = error.unwrap_err();
            assert!(
                matches!(error, StorageError::OutOfRange { total: 10, .. }),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn a_missing_object_is_not_found_and_deleting_it_is_no_error() {
    for Place {
        storage,
        root: _root,
    } in places().await
    {
        storage
            .put(&key(0), Bytes::from_static(CONTENT), None)
            .await
            .unwrap();
        storage.delete(&key(0)).await.unwrap();
        storage.delete(&key(0)).await.unwrap();
        let range = Some(ByteRange { start: 0, end: 1 });
        for error in [
            storage.head(&key(0)).await.unwrap_err(),
            storage.open_object(&key(0), None).await.unwrap_err(),
            storage.open_object(&key(0), range).await.unwrap_err(),
        ] {
            assert!(matches!(error, StorageError::NotFound { .. }), "{error}");
            assert!(error.to_string().contains(key(0).path()), "{error}");
        }
    }
}

#[tokio::test]
async fn only_our_objects_are_listed() {
    for (Place { storage, root }, folder) in places().await.into_iter().zip(["media", BUCKET]) {
        assert_eq!(storage.list().try_collect::<Vec<_>>().await.unwrap(), []);
        storage.check().await.unwrap();
        storage
            .put(&key(0), Bytes::from_static(CONTENT), None)
            .await
            .unwrap();
        storage
            .put(&key(1), Bytes::from_static(b""), None)
            .await
            .unwrap();
        let stranger = root.path().join(folder).join("jobs/000/notes.txt");
        std::fs::write(stranger, "not ours").unwrap();
        let mut found: Vec<_> = storage.list().try_collect().await.unwrap();
        found.sort_by(|a, b| a.key.path().cmp(b.key.path()));
        let found: Vec<_> = found
            .into_iter()
            .map(|object| (object.key, object.size))
            .collect();
        assert_eq!(found, [(key(0), 10), (key(1), 0)], "{storage:?}");
    }
}

#[tokio::test]
async fn what_an_interrupted_write_left_is_never_listed_and_can_be_removed() {
    for (Place { storage, root }, (folder, expected)) in
        places().await.into_iter().zip([("media", 1), (BUCKET, 0)])
    {
        storage
            .put(&key(0), Bytes::from_static(CONTENT), None)
            .await
            .unwrap();
        let unfinished = format!("{folder}/{}#1", key(1));
        std::fs::write(root.path().join(unfinished), "half a pict").unwrap();
        assert_eq!(
            storage.list().try_collect::<Vec<_>>().await.unwrap().len(),
            1
        );
        assert_eq!(
            storage.remove_unfinished(at(1000)).await.unwrap(),
            0,
            "too young"
        );
        let future = at(100_000_000_000);
        assert_eq!(storage.remove_unfinished(future).await.unwrap(), expected);
        assert_eq!(read(&storage, None).await, CONTENT);
    }
}

#[tokio::test]
async fn a_presigned_link_downloads_the_object_with_its_type_name_and_caching() {
    let Place {
        storage,
        root: _root,
    } = bucket().await;
    let place = domain::Place {
        variation: 1,
        index: Some(0),
    };
    let name = FileName {
        prompt: "Cà phê",
        request_id: 7,
        place,
        role: MediaRole::Thumbnail,
    };
    storage
        .put(&key(0), Bytes::from_static(CONTENT), Some(name))
        .await
        .unwrap();
    let now = Clock::system().now();
    let link = storage.download_url(7, &key(0), now).await.unwrap();
    let left = (link.expires_at - now).num_seconds();
    assert!((600..=900).contains(&left), "{left}");
    let response = reqwest::get(&link.url).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "image/png");
    assert_eq!(
        response.headers()["cache-control"],
        "private, max-age=31536000, immutable"
    );
    assert_eq!(
        response.headers()["content-disposition"],
        "inline; filename=\"ca-phe-7-2-1-thumbnail.png\"; \
         filename*=UTF-8''c%C3%A0-ph%C3%AA-7-2-1-thumbnail.png"
    );
    assert_eq!(response.bytes().await.unwrap(), CONTENT);
}

#[tokio::test]
async fn a_tampered_presigned_link_downloads_nothing() {
    let Place {
        storage,
        root: _root,
    } = bucket().await;
    storage
        .put(&key(0), Bytes::from_static(CONTENT), None)
        .await
        .unwrap();
    storage
        .put(&key(1), Bytes::from_static(b"secret"), None)
        .await
        .unwrap();
    let link = storage
        .download_url(7, &key(0), Clock::system().now())
        .await
        .unwrap();
    let url = link.url;
    let unsigned = url.split('?').next().unwrap().to_owned();
    for tampered in [
        url.replace("-0.png", "-1.png"),
        url.replace("X-Amz-Expires=900", "X-Amz-Expires=9000"),
        unsigned,
    ] {
        assert_ne!(tampered, url);
        assert_eq!(reqwest::get(tampered).await.unwrap().status(), 403);
    }
}

/// 600 seconds and 300 more are the longest that this link lives, and it is written into it.
#[tokio::test]
async fn a_presigned_link_says_until_when_it_works() {
    let Place {
        storage,
        root: _root,
    } = bucket().await;
    let link = storage
        .download_url(7, &key(0), at(1_000_001))
        .await
        .unwrap();
    assert_eq!(link.expires_at, at(1_000_800));
    let query = "&X-Amz-Date=19700112T134500Z&X-Amz-Expires=900&";
    assert!(link.url.contains(query), "{}", link.url);
}

#[tokio::test]
async fn a_presigned_link_that_has_ended_downloads_nothing() {
    let Place {
        storage,
        root: _root,
    } = bucket().await;
    storage
        .put(&key(0), Bytes::from_static(CONTENT), None)
        .await
        .unwrap();
    let (now, age) = (Clock::system().now(), TimeDelta::seconds(900));
    let link = storage.download_url(7, &key(0), now - age).await.unwrap();
    assert!(link.expires_at <= now);
    assert_eq!(reqwest::get(link.url).await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_presigned_link_for_as_long_as_s3_allows_works() {
    let root = tempfile::tempdir().unwrap();
    let settings = StorageSettings::S3(serve_bucket(&root).await);
    let lifetime = Duration::from_secs(7 * 24 * 60 * 60);
    let longest = LinkSettings {
        lifetime,
        ..links()
    };
    let storage = Storage::open(&settings, longest).unwrap();
    storage
        .put(&key(0), Bytes::from_static(CONTENT), None)
        .await
        .unwrap();
    let now = Clock::system().now();
    let link = storage.download_url(7, &key(0), now).await.unwrap();
    assert!(link.expires_at - now >= TimeDelta::from_std(lifetime).unwrap());
    assert!(link.url.contains("&X-Amz-Expires=604800&"), "{}", link.url);
    assert_eq!(reqwest::get(link.url).await.unwrap().status(), 200);
}

#[tokio::test]
async fn links_made_within_half_a_lifetime_are_the_same() {
    for Place {
        storage,
        root: _root,
    } in places().await
    {
        let link = async |seconds| storage.download_url(7, &key(0), at(seconds)).await.unwrap();
        let first = link(901).await;
        assert_eq!(first.expires_at, at(1_800));
        for later in [902, 1_000, 1_199, 1_200] {
            assert_eq!(link(later).await, first, "{storage:?}");
        }
        let next = link(1_201).await;
        assert_eq!(next.expires_at, at(2_100));
        assert_ne!(next.url, first.url);
    }
}

#[tokio::test]
async fn a_link_to_a_folder_leads_to_the_server_and_is_checked_there() {
    let Place {
        storage,
        root: _root,
    } = folder().await;
    let link = storage.download_url(7, &key(0), at(1000)).await.unwrap();
    assert_eq!(link.expires_at, at(1800));
    let url = Url::parse(&link.url).unwrap();
    assert_eq!(
        url.origin().ascii_serialization(),
        "http://media.example:50051"
    );
    let path = url.path().strip_prefix("/media/").unwrap();
    let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let [(_, expires), (_, key_id), (_, signature)] = query.as_slice() else {
        panic!("{url}")
    };
    let verify = |path: &str, now| {
        let link = SignedLink {
            path,
            expires: expires.parse().unwrap(),
            key: Some(key_id.parse().unwrap()),
            signature,
        };
        storage.verify_link(link, at(now))
    };
    assert_eq!(verify(path, 1799), Ok(Linked::Media(7)));
    assert_eq!(verify(path, 1800), Err(LinkError::Expired));
    assert_eq!(verify(key(0).path(), 1799), Err(LinkError::Forged));
    assert_eq!(verify("8.png", 1799), Err(LinkError::Forged));
}

#[tokio::test]
async fn two_servers_on_one_folder_take_each_others_links() {
    let root = tempfile::tempdir().unwrap();
    let [one, other] = [(); 2].map(|()| Storage::open(&local_settings(&root), links()).unwrap());
    let url = |storage: Storage| async move {
        storage.download_url(7, &key(0), at(0)).await.unwrap().url
    };
    assert_eq!(url(one).await, url(other).await);
}

#[tokio::test]
async fn the_lasting_url_names_the_object_where_it_stands() {
    let Place { storage, root } = folder().await;
    let at_server = format!("{}media/{}", links().server_url, key(0));
    assert_eq!(storage.object_url(&key(0)), at_server);

    let Place {
        storage,
        root: _root,
    } = bucket().await;
    let url = storage.object_url(&key(0));
    assert!(url.ends_with(&format!("/{BUCKET}/{}", key(0))), "{url}");

    let public_url = Some(Url::parse("https://cdn.example/pictures/").unwrap());
    let published = LinkSettings {
        public_url,
        ..links()
    };
    let storage = Storage::open(&local_settings(&root), published).unwrap();
    assert_eq!(
        storage.object_url(&key(0)),
        format!("https://cdn.example/pictures/{}", key(0))
    );
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named_in_the_error() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("media"), "a file in the way").unwrap();
    let error = Storage::open(&local_settings(&root), links())
        .unwrap_err()
        .to_string();
    assert!(error.contains(root.path().to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn a_folder_that_takes_no_files_is_named_in_the_error() {
    let Place { storage, root } = folder().await;
    let folder = root.path().join("media");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "a file in the way").unwrap();
    for error in [
        storage.check().await.unwrap_err(),
        storage
            .put(&key(0), Bytes::from_static(CONTENT), None)
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, StorageError::Failed { .. }), "{error}");
        assert!(
            error.to_string().contains(folder.to_str().unwrap()),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_named_in_the_error() {
    let root = tempfile::tempdir().unwrap();
    let mut settings = serve_bucket(&root).await;
    settings.bucket = "elsewhere".to_owned();
    let storage = Storage::open(&StorageSettings::S3(settings), links()).unwrap();
    let error = storage.check().await.unwrap_err().to_string();
    assert!(
        error.contains("bucket elsewhere at http://127.0.0.1"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named_with_the_reason() {
    let root = tempfile::tempdir().unwrap();
    let mut settings = serve_bucket(&root).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    settings.endpoint = Some(Url::parse(&nobody).unwrap());
    let storage = Storage::open(&StorageSettings::S3(settings), links()).unwrap();
    let error = storage.check().await.unwrap_err().to_string();
    assert!(error.contains(&nobody), "{error}");
    assert!(error.contains("refused"), "{error}");
}

#[tokio::test]
async fn wrong_credentials_fail_the_check_without_showing_the_secret() {
    let root = tempfile::tempdir().unwrap();
    let mut settings = serve_bucket(&root).await;
    settings.secret_access_key = Some(SecretString::from("not-the-one"));
    let storage = Storage::open(&StorageSettings::S3(settings), links()).unwrap();
    let error = storage.check().await.unwrap_err().to_string();
    assert!(
        error.contains(BUCKET) && !error.contains("not-the-one"),
        "{error}"
    );
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_once() {
    let root = tempfile::tempdir().unwrap();
    let lifetime = Duration::from_secs(8 * 24 * 60 * 60);
    let too_long = LinkSettings {
        lifetime,
        ..links()
    };
    let signing_key = Some(SecretString::from("too short"));
    let too_short = LinkSettings {
        signing_key,
        ..links()
    };
    for links in [too_long, too_short] {
        let error = Storage::open(&local_settings(&root), links).unwrap_err();
        assert!(matches!(error, StorageError::Settings { .. }), "{error}");
    }
}
