//! Files of media that are not there, and parts of them over plain HTTP.

use std::fs;

use atelier::rpc::proto::{DownloadMediaRequest, ErrorReason, Media};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE, RETRY_AFTER};
use tonic::Code;

use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

on_both_databases! {
    async fn a_file_that_is_gone_is_told_apart_from_media_that_is_not_there(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        fs::remove_dir_all(server.media_folder().join("jobs")).unwrap();
        let request = DownloadMediaRequest { id: media.id, offset: 0 };
        let refused = match server.media().download_media(request).await {
            Ok(stream) => refusal(within(stream.into_inner().message()).await),
            Err(status) => crate::support::refusal::of_status(&status),
        };
        refused.is(Code::NotFound, ErrorReason::MediaContentMissing).with("media_id", media.id);
        assert_eq!(get(&media, None).await.status(), StatusCode::NOT_FOUND);
    }

    async fn a_file_that_cannot_be_read_now_is_to_be_asked_for_again(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let folder = server.media_folder().join("jobs");
        fs::rename(&folder, server.media_folder().join("aside")).unwrap();
        // No file can be read below a file.
        fs::write(&folder, "").unwrap();
        let answer = get(&media, None).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()[RETRY_AFTER], "1");
    }

    async fn a_link_gives_any_part_of_its_file(db: TestDatabase) {
        let (_server, media) = with_a_picture(&db).await;
        let whole = get(&media, None).await.bytes().await.unwrap();
        let size = whole.len();
        for (range, start, end) in [("bytes=0-0", 0, 1), ("bytes=5-", 5, size), ("bytes=-3", size - 3, size)] {
            let part = get(&media, Some(range)).await;
            assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT, "{range}");
            assert_eq!(part.headers()[CONTENT_RANGE], format!("bytes {start}-{}/{size}", end - 1));
            assert_eq!(part.headers()[CONTENT_LENGTH], (end - start).to_string());
            assert_eq!(part.bytes().await.unwrap(), whole[start..end]);
        }
        let beyond = get(&media, Some("bytes=1000000-")).await;
        assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(beyond.headers()[CONTENT_RANGE], format!("bytes */{size}"));
    }

    async fn a_link_with_nonsense_in_any_part_is_refused(db: TestDatabase) {
        let (_server, media) = with_a_picture(&db).await;
        let (path, query) = media.download_url.split_once('?').unwrap();
        let signature = query.split_once("signature=").unwrap().1;
        let mut links = vec![format!("{path}%00?{query}"), format!("{path}/{}?{query}", "x".repeat(5_000))];
        for expires in ["", "x", "-1", "1e9", "9223372036854775807", "9223372036854775808", "%00"] {
            links.push(format!("{path}?expires={expires}&signature={signature}"));
        }
        let expires = query.split_once('&').unwrap().0;
        for signature in ["", "x", "%00", "%ff", &"A".repeat(43), &"A".repeat(5_000)] {
            links.push(format!("{path}?{expires}&signature={signature}"));
        }
        for link in links {
            let status = within(browser().get(&link).send()).await.unwrap().status();
            assert!(status.is_client_error(), "{link} gave {status}");
        }
    }

    async fn what_is_no_signed_path_of_the_storage_is_never_opened(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let query = media.download_url.split_once('?').unwrap().1;
        for path in ["/media/.signing-key", "/media/../Cargo.toml", "/media/%2e%2e/%2e%2e/etc/passwd", "/media/"] {
            for link in [format!("{}{path}", server.url()), format!("{}{path}?{query}", server.url())] {
                let status = within(browser().get(&link).send()).await.unwrap().status();
                assert!(status.is_client_error(), "{link} gave {status}");
            }
        }
    }
}

async fn with_a_picture(db: &TestDatabase) -> (TestServer, Media) {
    let server = TestServer::start(db).await;
    let script = Script::new(&["succeed"]);
    let job = server.create_scripted(&script).await;
    let media = server
        .ended(job.id)
        .await
        .transitions
        .remove(2)
        .media
        .remove(0);
    (server, media)
}

async fn get(media: &Media, range: Option<&str>) -> reqwest::Response {
    let mut call = browser().get(&media.download_url);
    if let Some(range) = range {
        call = call.header(RANGE, range);
    }
    within(call.send()).await.unwrap()
}
