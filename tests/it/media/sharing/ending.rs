//! When a link leads nowhere, and that nobody is told why.

use atelier::rpc::proto::{
    DeleteMediaRequest, DeleteRequestRequest, ListSharesRequest, UndeleteMediaRequest,
    UndeleteRequestRequest, UnshareMediaRequest,
};
use chrono::TimeDelta;
use prost_types::Timestamp;

use crate::support::bucket::serve_bucket_with_outages;
use crate::support::clocked::ClockedServer;

use super::*;

on_both_databases! {
    async fn deleting_suspends_a_link_undeleting_revives_it_and_unsharing_ends_it(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let (kept, url) = share(&server, &of(&media)).await;
        let never = format!("{}/s/{}", server.url(), "A".repeat(32));
        let (id, request_id) = (media.id, media.request_id);
        assert_open(&url).await;
        server.media().delete_media(DeleteMediaRequest { id }).await.unwrap();
        assert_nowhere(&url, &never).await;
        assert_eq!(shares(&server, id, false).await, [kept.id], "it is suspended, and has not ended");
        refusal(try_share(&server, &of(&media)).await).is(Code::NotFound, ErrorReason::MediaNotFound);
        server.media().undelete_media(UndeleteMediaRequest { id }).await.unwrap();
        assert_open(&url).await;
        server.requests().delete_request(DeleteRequestRequest { id: request_id, ..Default::default() }).await.unwrap();
        assert_nowhere(&url, &never).await;
        server.requests().undelete_request(UndeleteRequestRequest { id: request_id }).await.unwrap();
        assert_open(&url).await;

        let end = UnshareMediaRequest { share_id: kept.id };
        let ended = server.media().unshare_media(end).await.unwrap().into_inner().share.unwrap();
        assert!(ended.revoke_time.is_some());
        assert_nowhere(&url, &never).await;
        let again = server.media().unshare_media(end).await.unwrap().into_inner().share.unwrap();
        assert_eq!(again, ended, "ending again changes it");
        assert_eq!(shares(&server, id, false).await, [0; 0]);
        assert_eq!(shares(&server, id, true).await, [kept.id]);
        let unknown = UnshareMediaRequest { share_id: kept.id + 1 };
        refusal(server.media().unshare_media(unknown).await).is(Code::NotFound, ErrorReason::ShareNotFound);
    }

    async fn a_link_expires_and_is_kept_by_nobody_for_longer(db: TestDatabase) {
        let (made, media) = with_a_picture(&db).await;
        let folder = made.media_folder().to_owned();
        let server = ClockedServer::start_with(&db, |config| config.storage.folder = folder).await;
        let now = server.app.clock.now();
        let expire_time = Some(Timestamp { seconds: now.timestamp() + 100, nanos: 0 });
        let (share, url) = share(&server, &ShareMediaRequest { expire_time, ..of(&media) }).await;
        assert_eq!(share.expire_time, expire_time);
        let path = url.split_once("/s/").unwrap().1;
        let url = format!("{}/s/{path}", server.url);
        assert_protected(&get(&url).await, "public, max-age=60");
        server.pass(TimeDelta::seconds(90));
        assert_protected(&get(&url).await, "public, max-age=10");
        assert_protected(&get(&format!("{url}/file.png")).await, "public, max-age=10");
        assert_eq!(shares(&server, media.id, false).await, [share.id]);
        server.pass(TimeDelta::seconds(10));
        assert_nowhere(&url, &format!("{}/s/{}", server.url, "A".repeat(32))).await;
        assert_eq!(shares(&server, media.id, false).await, [0; 0]);
        assert_eq!(shares(&server, media.id, true).await, [share.id]);
    }

    async fn a_link_to_a_file_that_is_gone_leads_nowhere(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let (_, url) = share(&server, &of(&media)).await;
        fs::remove_dir_all(server.media_folder().join("jobs")).unwrap();
        assert_nowhere(&url, &format!("{}/s/{}", server.url(), "A".repeat(32))).await;
        refusal(try_share(&server, &of(&media)).await).is(Code::NotFound, ErrorReason::MediaContentMissing);
    }

    async fn another_file_in_the_place_of_the_one_that_was_shared_is_not_sent(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let (_, url) = share(&server, &of(&media)).await;
        db.execute(&format!("UPDATE generation_media SET sha256 = '{}'", "0".repeat(64))).await;
        assert_nowhere(&url, &format!("{}/s/{}", server.url(), "A".repeat(32))).await;
    }

    async fn while_the_storage_is_away_a_link_is_to_be_asked_for_again(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let (bucket, outage) = serve_bucket_with_outages(&root).await;
        let server = TestServer::start_with(&db, |config| keep_media_in(&bucket, config)).await;
        let media = picture(&server).await;
        let (_, url) = share(&server, &of(&media)).await;
        outage.begin();
        for path in ["", "/file.png"] {
            let answer = get(&format!("{url}{path}")).await;
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_protected(&answer, "no-store");
        }
        refusal(try_share(&server, &of(&media)).await).is(Code::Unavailable, ErrorReason::StorageUnavailable);
        outage.end();
        assert_open(&url).await;
    }

    async fn links_go_with_the_media_and_with_its_user(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let count = async || db.texts("SELECT CAST(id AS TEXT) FROM generation_shares").await.len();
        share(&server, &of(&media)).await;
        db.execute(&format!("DELETE FROM generation_media WHERE id = {}", media.id)).await;
        assert_eq!(count().await, 0);
        let script = Script::new(&["succeed"]);
        let made = server.made(scripted_request(media.feature_id, &script)).await;
        share(&server, &of(&made.media()[0])).await;
        db.execute("DELETE FROM users").await;
        assert_eq!(count().await, 0);
    }

    async fn what_a_link_is_stands_nowhere(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let (_, url) = share(&server, &of(&media)).await;
        let token = url.rsplit_once('/').unwrap().1;
        assert_eq!(token.len(), 32);
        let hex = match db.backend {
            Backend::Postgres => "encode(token_hash, 'hex')",
            Backend::Sqlite => "lower(hex(token_hash))",
        };
        let kept = db.texts(&format!("SELECT {hex} FROM generation_shares")).await;
        assert_eq!(kept, [digest(token.as_bytes())]);
        let all = db.texts("SELECT CAST(files AS TEXT) || coalesce(title, '') FROM generation_shares").await;
        assert!(!all[0].contains(token), "{all:?}");
    }

    async fn a_media_has_so_many_links_and_no_more_and_the_ended_are_forgotten(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let mut ids = Vec::new();
        for _ in 0..100 {
            ids.push(share(&server, &of(&media)).await.0.id);
        }
        let refused = refusal(try_share(&server, &of(&media)).await);
        refused.is(Code::ResourceExhausted, ErrorReason::SharesTaken).with("media_id", media.id).with("limit", 100);
        for share_id in &ids {
            server.media().unshare_media(UnshareMediaRequest { share_id: *share_id }).await.unwrap();
        }
        let mut kept = vec![share(&server, &of(&media)).await.0.id];
        let end = UnshareMediaRequest { share_id: kept[0] };
        server.media().unshare_media(end).await.unwrap();
        kept.insert(0, share(&server, &of(&media)).await.0.id);
        ids.reverse();
        kept.extend(&ids[..99]);
        assert_eq!(shares(&server, media.id, true).await, kept, "the oldest has gone");

        let mut paged = Vec::new();
        let mut page_token = String::new();
        loop {
            let page = ListSharesRequest { media_id: media.id, show_ended: true, page_size: 40, page_token };
            let page = server.media().list_shares(page).await.unwrap().into_inner();
            paged.extend(page.shares.iter().map(|share| share.id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(paged, kept);
    }
}

/// The links to a media, as they are listed.
async fn shares(server: &Client, media_id: i64, show_ended: bool) -> Vec<i64> {
    let listed = ListSharesRequest {
        media_id,
        show_ended,
        page_size: 1_000,
        ..Default::default()
    };
    let listed = server.media().list_shares(listed).await.unwrap();
    let shares = listed.into_inner().shares;
    shares.into_iter().map(|share| share.id).collect()
}

async fn assert_open(url: &str) {
    for path in ["", "/file.png"] {
        assert_eq!(
            get(&format!("{url}{path}")).await.status(),
            StatusCode::OK,
            "{path}"
        );
    }
}

/// Page, file and whatever else is asked for answer as a link does that never was, to the byte.
async fn assert_nowhere(url: &str, never: &str) {
    let unknown = told(never).await;
    for path in ["", "/file.png", "/file.jpg", "/poster.jpg", "/x", "/%00"] {
        assert_eq!(told(&format!("{url}{path}")).await, unknown, "{path}");
    }
    let short = never.trim_end_matches('A');
    for odd in ["x", "%FF", "..%2f..%2fetc", &"a".repeat(5_000)] {
        assert_eq!(told(&format!("{short}{odd}")).await, unknown, "{odd}");
    }
}

/// All of an answer but when and to which call it came.
async fn told(url: &str) -> (Vec<(String, String)>, String) {
    let answer = get(url).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{url}");
    assert_protected(&answer, "public, max-age=60");
    let headers = answer.headers().iter();
    let headers = headers.filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()));
    let headers =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (headers.collect(), answer.text().await.unwrap())
}
