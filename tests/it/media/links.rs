//! What a link says of its file: which it is, what it is called, and how long a browser may keep it.

use std::fs;
use std::time::Duration;

use atelier::rpc::proto::{
    DeleteMediaRequest, DeleteRequestRequest, GetMediaRequest, Media, UndeleteMediaRequest,
};
use reqwest::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE, RETRY_AFTER,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use crate::client::browser::page::Page;
use crate::support::client::{Client, scripted_feature, scripted_request};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::http::{browser, called};
use crate::support::postgres::Cluster;
use crate::support::process::Process;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

/// So long that no test reaches from one half into the next.
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

on_both_databases! {
    async fn a_link_stays_the_same_for_half_its_lifetime_and_says_when_it_ends(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let listed = server.media_of(media.job_id.unwrap()).await.remove(0);
        assert_eq!((&listed.download_url, listed.download_url_expire_time), (&media.download_url, media.download_url_expire_time));
        let ends = media.download_url_expire_time.unwrap();
        assert_eq!((ends.seconds % (WEEK.as_secs() as i64 / 2), ends.nanos), (0, 0));
        assert!(media.download_url.contains(&format!("?expires={}&", ends.seconds)));

        let answer = send(link(&media)).await;
        let caching = answer.headers()[CACHE_CONTROL].to_str().unwrap();
        let age = caching.strip_prefix("private, max-age=").unwrap().strip_suffix(", immutable").unwrap();
        let (age, lifetime) = (age.parse::<u64>().unwrap(), WEEK.as_secs());
        assert!(lifetime - 60 <= age && age <= lifetime * 3 / 2, "{caching}");
    }

    async fn a_link_tells_which_file_it_opens_and_what_it_is_called(db: TestDatabase) {
        let (_server, media) = with_a_picture(&db).await;
        for method in [Method::GET, Method::HEAD] {
            let answer = send(browser().request(method, &media.download_url)).await;
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()[ETAG], etag(&media));
            assert_eq!(answer.headers()[CONTENT_LENGTH], media.file_size.to_string());
            let name = format!("xin-chao-{}-1.png", media.request_id);
            assert!(answer.headers()[CONTENT_DISPOSITION].to_str().unwrap().contains(&format!("inline; filename=\"{name}\"; ")));
            assert_eq!(called(&answer), format!("xin-chào-{}-1.png", media.request_id));
        }
    }

    async fn whoever_has_the_file_gets_word_instead_of_it(db: TestDatabase) {
        let (_server, media) = with_a_picture(&db).await;
        let etag = etag(&media);
        let known = [etag.clone(), format!("W/{etag}"), format!("\"a,b\", W/\"c\" ,{etag}"), "*".to_owned()];
        for known in known {
            for method in [Method::GET, Method::HEAD] {
                let call = browser().request(method, &media.download_url).header(IF_NONE_MATCH, &known);
                // It comes before a range.
                let answer = send(call.header(RANGE, "bytes=0-0")).await;
                assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{known}");
                assert_eq!(answer.headers()[ETAG], etag);
                assert!(answer.headers()[CACHE_CONTROL].to_str().unwrap().ends_with(", immutable"));
                for absent in [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_RANGE] {
                    assert_eq!(answer.headers().get(&absent), None, "{absent}");
                }
                assert_eq!(answer.bytes().await.unwrap(), "");
            }
        }
        for unknown in ["\"another\"", media.sha256.as_str(), "", ",", "\"", "W/", "\"*\""] {
            let answer = send(link(&media).header(IF_NONE_MATCH, unknown)).await;
            assert_eq!(answer.status(), StatusCode::OK, "{unknown}");
            assert_eq!(answer.bytes().await.unwrap().len() as i64, media.file_size);
        }
        let lines = link(&media).header(IF_NONE_MATCH, "\"another\"").header(IF_NONE_MATCH, &etag);
        assert_eq!(send(lines).await.status(), StatusCode::NOT_MODIFIED);
    }

    async fn a_part_is_sent_only_to_whoever_has_the_rest_of_the_same_file(db: TestDatabase) {
        let (_server, media) = with_a_picture(&db).await;
        let etag = etag(&media);
        let part = async |had: &str| send(link(&media).header(RANGE, "bytes=1-2").header(IF_RANGE, had)).await;
        let same = part(&etag).await;
        assert_eq!(same.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(same.headers()[ETAG], etag);
        assert_eq!(same.bytes().await.unwrap().len(), 2);
        // No date was told, so none is of this file.
        let (weak, date) = (format!("W/{etag}"), "Wed, 21 Oct 2099 07:28:00 GMT");
        for other in [weak.as_str(), "\"another\"", media.sha256.as_str(), date, "*", ""] {
            let answer = part(other).await;
            assert_eq!(answer.status(), StatusCode::OK, "{other}");
            assert_eq!(answer.bytes().await.unwrap().len() as i64, media.file_size, "{other}");
        }
        let beyond = link(&media).header(RANGE, "bytes=1000000-").header(IF_RANGE, "\"another\"");
        assert_eq!(send(beyond).await.status(), StatusCode::OK);
    }

    async fn a_file_that_is_gone_is_not_said_to_be_the_same(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        fs::remove_dir_all(server.media_folder().join("jobs")).unwrap();
        let answer = send(link(&media).header(IF_NONE_MATCH, etag(&media))).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(answer.headers().get(ETAG), None);
    }

    async fn a_link_to_media_deleted_since_is_dead_until_that_is_undone(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        server.media().delete_media(DeleteMediaRequest { id: media.id }).await.unwrap();
        for call in [link(&media), link(&media).header(IF_NONE_MATCH, etag(&media)), link(&media).header(RANGE, "bytes=0-0")] {
            let answer = send(call).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND);
            assert_eq!(answer.headers().get(ETAG), None);
            assert_eq!(answer.headers()[CACHE_CONTROL], "private, no-store");
        }
        server.media().undelete_media(UndeleteMediaRequest { id: media.id }).await.unwrap();
        assert_eq!(send(link(&media)).await.status(), StatusCode::OK);
        server.requests().delete_request(DeleteRequestRequest { id: media.request_id, ..Default::default() }).await.unwrap();
        assert_eq!(send(link(&media)).await.status(), StatusCode::NOT_FOUND);
    }

    async fn a_link_names_the_media_and_no_other_spelling_of_its_path_opens_it(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let (_, query) = media.download_url.split_once('?').unwrap();
        let (id, own) = (media.id, format!("/media/{}.png", media.id));
        let answered = async |path: &str| {
            let head = format!("GET {path}?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
            let answer = raw(&server, &head).await;
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!(answered(&own).await, "200");
        let object = Url::parse(&media.media_url).unwrap().path().to_owned();
        for path in [
            format!("/%6dedia/{id}.png"),
            format!("/media/{id}%2epng"), format!("/media/{id}.%70ng"), format!("/media//{id}.png"), format!("//media/{id}.png"),
            format!("/media/./{id}.png"), format!("/media/x/../{id}.png"), format!("/media/{id}.PNG"), format!("/MEDIA/{id}.png"),
            format!("/media/0{id}.png"), format!("/media/{id}.png/"), format!("/media/{id}"), format!("/media/{id}.jpg"),
            format!("/media/{}.png", id + 1), object,
        ] {
            let status = answered(&path).await;
            assert!(["403", "404"].contains(&status.as_str()), "{path} gave {status}");
        }
    }

    async fn an_answer_to_a_link_is_the_holders_alone_and_runs_nothing(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.storage.public_url = Some("https://cdn.example.com/".parse().unwrap());
        }).await;
        let media = picture(&server).await;
        assert!(media.media_url.starts_with("https://cdn.example.com/jobs/"), "{}", media.media_url);
        let forged = media.download_url.replace("expires=", "expires=1");
        for (url, status) in [(&media.download_url, StatusCode::OK), (&forged, StatusCode::FORBIDDEN)] {
            let answer = send(browser().get(url)).await;
            assert_eq!(answer.status(), status);
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("cross-origin-resource-policy", "cross-origin"),
                ("referrer-policy", "no-referrer"),
            ] {
                assert_eq!(answer.headers()[name], value);
            }
            let policy = answer.headers()["content-security-policy"].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"), "{policy}");
            assert!(answer.headers()[CACHE_CONTROL].to_str().unwrap().starts_with("private, "));
        }
    }

    async fn each_file_of_a_job_has_a_name_of_its_own(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let mut feature = scripted_feature("several");
        let properties = feature.properties.as_mut().unwrap();
        (properties.thumbnail_sizes, properties.omit_thumbnails) = (vec![16], false);
        let feature = server.add_feature(feature).await.id;
        let script = Script::new(&["several"]);
        let media = server.made(scripted_request(feature, &script)).await.media();
        let names = ["1.png", "2.png", "3.png", "1-thumbnail.jpg", "2-thumbnail.jpg", "3-thumbnail.jpg"];
        assert_eq!(media.len(), names.len());
        // A place among the results stays as it was.
        server.media().delete_media(DeleteMediaRequest { id: media[0].id }).await.unwrap();
        for (media, name) in media.iter().zip(names).skip(1) {
            let answer = send(link(media)).await;
            assert_eq!(called(&answer), format!("xin-chào-{}-1-{name}", media.request_id));
        }
    }

    async fn a_page_may_ask_whether_it_has_a_file_and_read_which_it_is(db: TestDatabase) {
        let origin = "https://app.example.com";
        let server = TestServer::start_with(&db, |config| config.server.cors_origins = vec![origin.to_owned()]).await;
        let media = picture(&server).await;
        let allowed = |answer: &Response, name: &str| {
            let names = answer.headers()[name].to_str().unwrap().to_owned();
            names.split(',').map(|name| name.trim().parse().unwrap()).collect::<Vec<HeaderName>>()
        };
        let preflight = browser().request(Method::OPTIONS, &media.download_url).header("origin", origin);
        let preflight = preflight.header("access-control-request-method", "GET");
        let asked = allowed(&send(preflight).await, "access-control-allow-headers");
        for name in [IF_NONE_MATCH, IF_RANGE, RANGE] {
            assert!(asked.contains(&name), "{name}");
        }
        let call = link(&media).header("origin", origin).header(IF_NONE_MATCH, etag(&media));
        let answer = send(call).await;
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(answer.headers()["access-control-allow-origin"], origin);
        let read = allowed(&answer, "access-control-expose-headers");
        for name in [ETAG, CONTENT_RANGE, CONTENT_DISPOSITION] {
            assert!(read.contains(&name), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_loads_a_picture_once_however_often_its_page_is_shown() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let (server, media) = with_a_picture(&db).await;
    let mut page = Page::open("kept", &media.download_url);
    let loaded = page.tells("loaded").await;
    assert_eq!(loaded["size"], media.file_size);
    let request = GetMediaRequest {
        id: media.id,
        ..Default::default()
    };
    let again = server.media().get_media(request).await.unwrap();
    let again = again.into_inner().media.unwrap();
    assert_eq!(again.download_url, media.download_url);
    let kept = page.tells("kept").await;
    assert_eq!(
        (&kept["size"], &kept["loaded"]),
        (&loaded["size"], &0.into())
    );
    let asked = page.tells("asked").await;
    assert_eq!(asked["size"], loaded["size"]);
    assert!(asked["loaded"].as_i64().unwrap() < loaded["loaded"].as_i64().unwrap());
    page.closes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_to_be_asked_for_again_while_the_database_is_away() {
    let mut cluster = Cluster::with("synchronous_commit = on").await;
    let db = TestDatabase::on_server(cluster.url());
    let folder = tempfile::tempdir().unwrap();
    let server = Process::serve(&db, folder.path(), &[]).await;
    let media = picture(&server).await;
    cluster.tell("stop");
    let answer = send(link(&media).header(IF_NONE_MATCH, etag(&media))).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()[RETRY_AFTER], "1");
    assert_eq!(answer.headers()[CACHE_CONTROL], "private, no-store");
}

/// What the server answers to these very bytes: other clients tidy paths up.
async fn raw(server: &TestServer, head: &str) -> String {
    let mut stream = TcpStream::connect(server.url().trim_start_matches("http://"))
        .await
        .unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    within(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn with_a_picture(db: &TestDatabase) -> (TestServer, Media) {
    let server = TestServer::start_with(db, |config| config.storage.download_url_ttl = WEEK).await;
    let media = picture(&server).await;
    (server, media)
}

async fn picture(server: &Client) -> Media {
    let feature = server.scripted_feature().await;
    let script = Script::new(&["succeed"]);
    let made = server.made(scripted_request(feature, &script)).await;
    made.media().remove(0)
}

fn etag(media: &Media) -> String {
    format!("\"{}\"", media.sha256)
}

fn link(media: &Media) -> RequestBuilder {
    browser().get(&media.download_url)
}

async fn send(call: RequestBuilder) -> Response {
    within(call.send()).await.unwrap()
}
