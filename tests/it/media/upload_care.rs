//! That no upload is lost by accident, and that nothing is left lying about: files that got lost, calls that come to nothing, URLs
//! that nothing comes by.

use std::fs;

use atelier::rpc::proto::{
    DeleteRequestRequest, EraseUserRequest, ErrorReason, UndeleteRequestRequest,
};
use atelier::server::Role;
use chrono::TimeDelta;
use codec::Format;
use reqwest::StatusCode;
use tonic::Code;
use url::Url;

use super::upload_urls::{at, put};
use super::uploads::{bringing, objects_below, take_pictures};
use crate::support::bucket::{BUCKET, keep_media_in, serve_bucket};
use crate::support::client::USER;
use crate::support::clocked::ClockedServer;
use crate::support::database::on_both_databases;
use crate::support::http::browser;
use crate::support::process::Process;
use crate::support::refusal::refusal;
use crate::support::server::{TestServer, within};
use crate::support::uploads::{head, picture, picture_named};

const UNKNOWN: i64 = 99;
/// As `app::upload` has it.
const MOST_URLS: usize = 64;
const LARGE: usize = 20 * 1024 * 1024;

on_both_databases! {
    async fn a_file_that_got_lost_is_put_back_by_whoever_gives_it_again(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let file = picture([200, 20, 20], Format::Png);
        let upload = server.upload(USER, &file).await;
        let uploads = server.media_folder().join("uploads");
        fs::remove_dir_all(&uploads).unwrap();
        let open = async || within(browser().get(&upload.download_url).send()).await.unwrap();
        assert_eq!(open().await.status(), StatusCode::NOT_FOUND);
        assert_eq!(server.upload(USER, &file).await.id, upload.id);
        assert_eq!(open().await.bytes().await.unwrap(), file);
        assert_eq!(objects_below(&uploads), 1);
        // By a URL too.
        fs::remove_dir_all(&uploads).unwrap();
        let made = server.upload_url(&file, "image/png").await.unwrap();
        assert_eq!(put(&made, &file).await.status(), StatusCode::OK);
        assert_eq!(open().await.bytes().await.unwrap(), file);
    }

    async fn a_file_of_nobody_leaves_nothing(db: TestDatabase) {
        let adding = TestServer::start(&db).await;
        let server = adding.beside(Role::Api, &db, |config| config.identity.provision_users = Some(false)).await;
        let refused = server.try_upload(head(UNKNOWN), &picture_named("nobody")).await;
        refusal(refused).is(Code::FailedPrecondition, ErrorReason::UserUnknown);
        assert_eq!(objects_below(&server.media_folder().join("uploads")), 0);
    }

    async fn so_many_urls_are_open_until_files_come_by_them_or_they_end(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let base = Url::parse(&server.url).unwrap();
        let file = picture([200, 20, 20], Format::Png);
        let mut made = Vec::new();
        for _ in 0..MOST_URLS {
            made.push(server.upload_url(&file, "image/png").await.unwrap());
        }
        let refused = refusal(server.upload_url(&file, "image/png").await);
        refused.is(Code::ResourceExhausted, ErrorReason::UploadsFull);
        refused.with("limit", "urls").with("value", MOST_URLS);
        assert_eq!(put(&at(&made[0], &base), &file).await.status(), StatusCode::OK);
        server.upload_url(&file, "image/png").await.unwrap();
        refusal(server.upload_url(&file, "image/png").await).with("limit", "urls");
        server.pass(TimeDelta::minutes(16));
        server.upload_url(&file, "image/png").await.unwrap();
    }

    async fn an_upload_of_a_request_that_comes_back_is_used_anew(db: TestDatabase) {
        let server = ClockedServer::start_with(&db, take_pictures).await;
        let feature = server.scripted_feature().await;
        let upload = server.upload(USER, &picture_named("back")).await;
        let (request, _) = server.create(bringing(feature, &upload)).await;
        let id = request.id;
        server.requests().delete_request(DeleteRequestRequest { id, ..Default::default() }).await.unwrap();
        server.pass(TimeDelta::days(2));
        server.requests().undelete_request(UndeleteRequestRequest { id }).await.unwrap();
        let used = server.find_upload(upload.id).await.unwrap().update_time.unwrap().seconds;
        assert_eq!(used - upload.update_time.unwrap().seconds, TimeDelta::days(2).num_seconds());
    }

    async fn what_an_erased_user_has_put_to_a_bucket_goes_at_once(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let bucket = serve_bucket(&root).await;
        let server = TestServer::start_with(&db, |config| keep_media_in(&bucket, config)).await;
        let file = picture_named("put");
        let made = server.upload_url(&file, "image/png").await.unwrap();
        assert_eq!(put(&made, &file).await.status(), StatusCode::OK);
        let uploads = root.path().join(BUCKET).join("uploads");
        assert_eq!(objects_below(&uploads), 1);
        let erased = server.admin().erase_user(EraseUserRequest { user_id: USER }).await.unwrap();
        let erased = erased.into_inner().erasure.unwrap();
        assert_eq!((erased.uploads, erased.objects), (0, 1), "{erased:?}");
        assert_eq!(objects_below(&uploads), 0);
    }

    async fn whoever_puts_a_large_file_reads_why_it_is_refused(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        for _ in 0..3 {
            let call = browser().put(format!("{}/uploads/none", server.url())).body(vec![7; LARGE]);
            let answer = within(call.send()).await.unwrap();
            assert_eq!(answer.status(), StatusCode::FORBIDDEN);
            let told: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            assert_eq!(told["reason"], "VALIDATION_FAILED");
        }
    }

    async fn the_log_names_the_upload_that_a_call_has_made(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let server = Process::serve(&db, media.path(), &[]).await;
        let upload = server.upload(USER, &picture_named("logged")).await;
        server.until_logged("MediaService/UploadMedia").await;
        let log = server.log();
        let line = log.lines().find(|line| line.contains("MediaService/UploadMedia")).unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["fields"]["upload_id"], upload.id, "{line}");
    }
}
