//! Files that are put by HTTP, to this server or to a bucket, as browsers do.

use std::time::Duration;

use atelier::app::{Removal, RemovalMode};
use atelier::rpc::proto::{
    CompleteUploadRequest, CreateUploadUrlRequest, CreateUploadUrlResponse, EraseUserRequest,
    ErrorReason, ListUploadsRequest, Upload,
};
use chrono::TimeDelta;
use codec::Format;
use reqwest::{Method, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::{Code, Status};
use url::Url;

use crate::support::bucket::{keep_media_in, serve_bucket};
use crate::support::client::{Client, USER};
use crate::support::clocked::ClockedServer;
use crate::support::database::on_both_databases;
use crate::support::http::browser;
use crate::support::identity::{asks, by, token};
use crate::support::refusal::refusal;
use crate::support::server::{TestServer, within};
use crate::support::uploads::{picture, picture_named};

const RED: [u8; 3] = [200, 20, 20];

on_both_databases! {
    async fn a_file_is_put_and_completed_as_often_as_one_likes(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let file = picture(RED, Format::Jpg);
        let made = server.upload_url(&file, "image/jpeg").await.unwrap();
        assert_eq!(made.url, format!("{}/uploads/{}", server.url(), made.upload_token));
        let early = refusal(server.complete(&made).await);
        early.is(Code::FailedPrecondition, ErrorReason::UploadIncomplete);
        let mut ids = Vec::new();
        for _ in 0..2 {
            let answer = put(&made, &file).await;
            assert_eq!(answer.status(), StatusCode::OK);
            let told: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            ids.push((told["id"].as_str().unwrap().to_owned(), told["url"].as_str().unwrap().to_owned()));
        }
        let (one, two) = (server.complete(&made).await.unwrap(), server.complete(&made).await.unwrap());
        assert_eq!(one, two);
        assert!(ids.iter().all(|(id, url)| (id, url) == (&one.id.to_string(), &one.url)), "{ids:?} {one:?}");
        assert_eq!(server.upload(USER, &file).await.id, one.id, "it is the same as one over gRPC");
    }

    async fn a_file_is_put_to_a_bucket_and_looked_at_when_it_is_completed(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let bucket = serve_bucket(&root).await;
        let server = TestServer::start_with(&db, |config| keep_media_in(&bucket, config)).await;
        let file = picture(RED, Format::Png);
        let made = server.upload_url(&file, "image/png").await.unwrap();
        assert!(made.url.starts_with(bucket.endpoint.as_ref().unwrap().as_str()), "{}", made.url);
        refusal(server.complete(&made).await).is(Code::FailedPrecondition, ErrorReason::UploadIncomplete);

        let large = [file.clone(), vec![0; 10]].concat();
        assert_eq!(put(&made, &large).await.status(), StatusCode::FORBIDDEN, "the size is signed");
        let mut typed = made.clone();
        typed.headers.insert("content-type".to_owned(), "text/html".to_owned());
        assert_eq!(put(&typed, &file).await.status(), StatusCode::FORBIDDEN, "the type is signed");

        assert_eq!(put(&made, &file).await.status(), StatusCode::OK);
        let upload = server.complete(&made).await.unwrap();
        assert_eq!(server.complete(&made).await.unwrap(), upload, "the file that was put is gone by now");
        let all = Removal { age: Duration::ZERO, mode: RemovalMode::On, share: None };
        let swept = server.app().sweep_storage(&all).await.unwrap();
        assert_eq!((swept.objects, swept.removed), (1, 0), "{swept:?}");
        let stored = browser().get(&upload.download_url).send().await.unwrap();
        assert_eq!(stored.bytes().await.unwrap(), file);
    }

    async fn what_a_bucket_has_taken_is_removed_when_it_is_none(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let bucket = serve_bucket(&root).await;
        let server = TestServer::start_with(&db, |config| keep_media_in(&bucket, config)).await;
        let page = b"<html>no picture</html>";
        let made = server.upload_url(page, "image/png").await.unwrap();
        assert_eq!(put(&made, page).await.status(), StatusCode::OK);
        refusal(server.complete(&made).await).is(Code::InvalidArgument, ErrorReason::UploadUnsupported);
        refusal(server.complete(&made).await).is(Code::FailedPrecondition, ErrorReason::UploadIncomplete);
        // What nobody completes goes with the sweep.
        let made = server.upload_url(page, "image/png").await.unwrap();
        assert_eq!(put(&made, page).await.status(), StatusCode::OK);
        let all = Removal { age: Duration::ZERO, mode: RemovalMode::On, share: None };
        let swept = server.app().sweep_storage(&all).await.unwrap();
        assert_eq!((swept.objects, swept.removed), (1, 1), "{swept:?}");
    }

    async fn a_url_ends_and_what_was_put_by_then_can_be_completed_for_an_hour(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let base = Url::parse(&server.url).unwrap();
        let (file, late) = (picture_named("early"), picture_named("late"));
        let (early, late_url) = (server.upload_url(&file, "image/png").await.unwrap(), server.upload_url(&late, "image/png").await.unwrap());
        assert_eq!(put(&at(&early, &base), &file).await.status(), StatusCode::OK);
        server.pass(TimeDelta::minutes(16));
        let expired = put(&at(&late_url, &base), &late).await;
        assert_eq!(expired.status(), StatusCode::GONE);
        let told: serde_json::Value = serde_json::from_slice(&expired.bytes().await.unwrap()).unwrap();
        assert_eq!(told["reason"], "UPLOAD_INCOMPLETE");
        server.complete(&early).await.unwrap();
        server.pass(TimeDelta::hours(1));
        server.app.remove_idle_uploads(RemovalMode::Off).await.unwrap();
        refusal(server.complete(&early).await).is(Code::FailedPrecondition, ErrorReason::UploadIncomplete);
    }

    async fn what_is_not_what_was_said_is_refused_before_it_is_read(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let file = picture(RED, Format::Png);
        let made = server.upload_url(&file, "image/png").await.unwrap();
        let url = Url::parse(&made.url).unwrap();
        let address = format!("127.0.0.1:{}", url.port().unwrap());
        let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!(
            "PUT {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: 10000000000\r\n\r\n",
            url.path()
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        within(connection.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 400", "no byte of the body has come");

        let html = browser().put(&made.url).header("content-type", "text/html").body(file.clone());
        assert_eq!(html.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
        let forged = format!("{}x", made.url);
        assert_eq!(browser().put(forged).body(file.clone()).send().await.unwrap().status(), StatusCode::FORBIDDEN);
        let page = vec![b'<'; file.len()];
        let answer = put(&made, &page).await;
        assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(put(&made, &file).await.status(), StatusCode::OK, "it may be put again");

        let too_large = CreateUploadUrlRequest { file_size: 1 << 40, ..url_for(&file, "image/png") };
        refusal(server.media().create_upload_url(too_large).await).is(Code::InvalidArgument, ErrorReason::UploadTooLarge);
        let odd = CreateUploadUrlRequest { file_size: 0, sha256: Some("x".to_owned()), ..url_for(&file, "text/html") };
        let refused = refusal(server.media().create_upload_url(odd).await);
        assert_eq!(refused.fields, ["file_size", "sha256", "content_type"]);
    }

    async fn a_type_is_known_by_the_names_that_browsers_and_phones_have_for_it(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        for (name, known) in [
            ("image/jpg", "image/jpeg"),
            ("audio/x-m4a", "audio/mp4"),
            ("audio/x-wav", "audio/wav"),
            ("audio/webm;codecs=opus", "audio/webm"),
        ] {
            let made = server.upload_url(b"sound", name).await.unwrap();
            assert_eq!(made.headers["content-type"], known, "{name}");
        }
        let file = picture(RED, Format::Jpg);
        let made = server.upload_url(&file, "image/jpg").await.unwrap();
        assert_eq!(put(&made, &file).await.status(), StatusCode::OK);
        assert_eq!(server.complete(&made).await.unwrap().content_type, "image/jpeg");
    }

    async fn a_url_takes_one_file_and_none_once_its_user_is_erased(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let (mut one, mut other) = (picture_named("one"), picture_named("another one"));
        let size = one.len().max(other.len());
        one.resize(size, 0);
        other.resize(size, 0);
        let made = server.upload_url(&one, "image/png").await.unwrap();
        let (first, second) = (almost_put(&made, &one).await, almost_put(&made, &other).await);
        assert_eq!(end(first, &one).await, "HTTP/1.1 200");
        assert_eq!(end(second, &other).await, "HTTP/1.1 410", "another file has come by the URL");
        let kept = server.media().list_uploads(ListUploadsRequest { user_id: USER, ..Default::default() }).await.unwrap();
        assert_eq!(kept.into_inner().uploads.len(), 1);
        let html = browser().put(&made.url).header("content-type", "text/html").body(one.clone());
        assert_eq!(html.send().await.unwrap().status(), StatusCode::BAD_REQUEST, "what is put again is checked, too");

        let (unused, held) = (server.upload_url(&one, "image/png").await.unwrap(), server.upload_url(&other, "image/png").await.unwrap());
        let coming = almost_put(&held, &other).await;
        let erased = server.admin().erase_user(EraseUserRequest { user_id: USER }).await.unwrap();
        assert_eq!(erased.into_inner().erasure.unwrap().uploads, 1);
        assert_eq!(put(&unused, &one).await.status(), StatusCode::GONE);
        assert_eq!(end(coming, &other).await, "HTTP/1.1 410");
        refusal(server.complete(&unused).await).is(Code::FailedPrecondition, ErrorReason::UploadIncomplete);
        assert!(db.texts("SELECT storage_key FROM generation_uploads").await.is_empty());
        let all = Removal { age: Duration::ZERO, mode: RemovalMode::On, share: None };
        assert_eq!(server.app().sweep_storage(&all).await.unwrap().objects, 0, "and nothing of it is in the storage");
    }

    async fn a_page_of_a_listed_origin_may_put_a_file(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.server.cors_origins = vec!["https://app.example".to_owned()];
        })
        .await;
        let file = picture(RED, Format::Png);
        let made = server.upload_url(&file, "image/png").await.unwrap();
        let asked = browser()
            .request(Method::OPTIONS, &made.url)
            .header("origin", "https://app.example")
            .header("access-control-request-method", "PUT")
            .header("access-control-request-headers", "content-type");
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.headers()["access-control-allow-origin"], "https://app.example");
        assert!(answer.headers()["access-control-allow-methods"].to_str().unwrap().contains("PUT"));
        let other = browser().put(&made.url).header("origin", "https://evil.example").header("content-type", "image/png");
        assert_eq!(other.body(file.clone()).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    }

    async fn a_token_is_its_user_s(db: TestDatabase) {
        let server = TestServer::start_with(&db, asks).await;
        let file = picture(RED, Format::Png);
        let (own, stranger) = (token("user", "7"), token("user", "8"));
        let asked = CreateUploadUrlRequest { user_id: 0, ..url_for(&file, "image/png") };
        let made = server.media().create_upload_url(by(&own, asked.clone())).await.unwrap().into_inner();
        assert_eq!(put(&made, &file).await.status(), StatusCode::OK, "the URL is all that it takes");
        let complete = |token: &str| by(token, CompleteUploadRequest { upload_token: made.upload_token.clone() });
        let refused = refusal(server.media().complete_upload(complete(&stranger)).await);
        refused.is(Code::PermissionDenied, ErrorReason::PermissionDenied);
        let upload = server.media().complete_upload(complete(&own)).await.unwrap().into_inner().upload.unwrap();
        assert_eq!(upload.user_id, USER);
        let foreign = CreateUploadUrlRequest { user_id: USER, ..asked };
        let refused = refusal(server.media().create_upload_url(by(&stranger, foreign)).await);
        refused.is(Code::PermissionDenied, ErrorReason::PermissionDenied);
    }
}

fn url_for(file: &[u8], content_type: &str) -> CreateUploadUrlRequest {
    CreateUploadUrlRequest {
        user_id: USER,
        file_size: file.len() as i64,
        content_type: content_type.to_owned(),
        ..Default::default()
    }
}

pub(super) async fn put(made: &CreateUploadUrlResponse, file: &[u8]) -> Response {
    let mut call = browser().put(&made.url);
    // The client sets the length by itself, as browsers do.
    for (name, value) in made
        .headers
        .iter()
        .filter(|(name, _)| *name != "content-length")
    {
        call = call.header(name, value);
    }
    within(call.body(file.to_vec()).send()).await.unwrap()
}

/// The same on the port of another server.
pub(super) fn at(made: &CreateUploadUrlResponse, base: &Url) -> CreateUploadUrlResponse {
    let mut url = Url::parse(&made.url).unwrap();
    url.set_port(base.port()).unwrap();
    CreateUploadUrlResponse {
        url: url.into(),
        ..made.clone()
    }
}

impl Client {
    pub(super) async fn upload_url(
        &self,
        file: &[u8],
        content_type: &str,
    ) -> Result<CreateUploadUrlResponse, Status> {
        let mut media = self.media();
        let asked = media.create_upload_url(url_for(file, content_type));
        Ok(within(asked).await?.into_inner())
    }

    async fn complete(&self, made: &CreateUploadUrlResponse) -> Result<Upload, Status> {
        let asked = CompleteUploadRequest {
            upload_token: made.upload_token.clone(),
        };
        let completed = within(self.media().complete_upload(asked)).await?;
        Ok(completed.into_inner().upload.unwrap())
    }
}

/// A call that has put all of the file but its last byte.
async fn almost_put(made: &CreateUploadUrlResponse, file: &[u8]) -> tokio::net::TcpStream {
    let url = Url::parse(&made.url).unwrap();
    let address = format!("127.0.0.1:{}", url.port().unwrap());
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: {}\r\n\r\n",
        url.path(),
        file.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let begin = &file[..file.len() - 1];
    connection.write_all(begin).await.unwrap();
    connection
}

/// Puts the last byte, and tells how the answer begins.
async fn end(mut connection: tokio::net::TcpStream, file: &[u8]) -> String {
    connection.write_all(&file[file.len() - 1..]).await.unwrap();
    let mut answer = [0; 12];
    within(connection.read_exact(&mut answer)).await.unwrap();
    String::from_utf8(answer.to_vec()).unwrap()
}
