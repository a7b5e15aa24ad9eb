//! What every answer to a link says, whatever its status, and what a title may be.

use chrono::TimeDelta;
use prost_types::Timestamp;
use serde_json::Value;

use crate::support::clocked::ClockedServer;

use super::*;

on_both_databases! {
    async fn every_answer_is_sent_under_the_same_protection(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let (_, url) = share(&server, &of(&media)).await;
        let (file, oembed) = (format!("{url}/file.png"), format!("{}/oembed", server.url()));
        let call = |method: Method, url: &str| browser().request(method, url);
        for (status, call, caching) in [
            (StatusCode::OK, call(Method::HEAD, &url), "public, max-age=60"),
            (StatusCode::OK, call(Method::HEAD, &file), "public, max-age=60"),
            (StatusCode::RANGE_NOT_SATISFIABLE, call(Method::GET, &file).header(RANGE, "bytes=900000-"), "no-store"),
            (StatusCode::NOT_MODIFIED, call(Method::GET, &file).header(IF_NONE_MATCH, "*"), "public, max-age=60"),
            (StatusCode::METHOD_NOT_ALLOWED, call(Method::POST, &url), "no-store"),
            (StatusCode::METHOD_NOT_ALLOWED, call(Method::DELETE, &file), "no-store"),
            (StatusCode::METHOD_NOT_ALLOWED, call(Method::PUT, &oembed), "no-store"),
            (StatusCode::NOT_FOUND, call(Method::GET, &format!("{url}/")), "public, max-age=60"),
            (StatusCode::NOT_FOUND, call(Method::GET, &format!("{file}/more")), "public, max-age=60"),
            (StatusCode::NOT_FOUND, call(Method::GET, &format!("{}/s/", server.url())), "public, max-age=60"),
            (StatusCode::NOT_FOUND, call(Method::GET, &format!("{url}/poster.png")), "public, max-age=60"),
            (StatusCode::NOT_FOUND, call(Method::GET, &oembed), "public, max-age=60"),
            (StatusCode::NOT_IMPLEMENTED, call(Method::GET, &format!("{oembed}?format=xml")), "no-store"),
        ] {
            let answer = send(call).await;
            assert_eq!(answer.status(), status, "{}", answer.url());
            assert_protected(&answer, caching);
        }
    }

    async fn a_link_to_a_file_that_cannot_be_read_is_forged(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let (path, _) = media.download_url.split_once('?').unwrap();
        for (query, status) in [
            ("expires=soon&signature=x", StatusCode::FORBIDDEN),
            ("key=%FF", StatusCode::FORBIDDEN),
            ("", StatusCode::FORBIDDEN),
        ] {
            let answer = get(&format!("{path}?{query}")).await;
            assert_eq!(answer.status(), status, "{query}");
            assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
            assert_eq!(answer.headers()[CACHE_CONTROL], "private, no-store");
        }
        let posted = send(browser().post(&media.download_url)).await;
        assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(posted.headers()["x-content-type-options"], "nosniff");
        assert_eq!(server.content_of(&media).await.len() as i64, media.file_size);
    }

    async fn a_title_turns_no_words_around(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        for odd in ["a\u{202e}b", "a\u{2028}b", "\u{2066}a", "a\u{200f}"] {
            let refused = refusal(try_share(&server, &ShareMediaRequest { title: odd.to_owned(), ..of(&media) }).await);
            refused.is(Code::InvalidArgument, ErrorReason::ValidationFailed).of_fields(["title"]);
            assert!(refused.descriptions[0].contains("direction of writing, has U+2"), "{refused:?}");
        }
        let title = "شاي \u{200d} & \"tea\"".to_owned();
        let (_, url) = share(&server, &ShareMediaRequest { title, ..of(&media) }).await;
        let page = get(&url).await.text().await.unwrap();
        assert!(page.contains("<h1 dir=\"auto\">شاي \u{200d} &amp; &quot;tea&quot;</h1>"), "{page}");
    }

    async fn what_a_link_is_embedded_as_is_kept_no_longer_than_the_link(db: TestDatabase) {
        let (made, media) = with_a_picture(&db).await;
        let folder = made.media_folder().to_owned();
        let server = ClockedServer::start_with(&db, |config| config.storage.folder = folder).await;
        let seconds = server.app.clock.now().timestamp() + 100;
        let expire_time = Some(Timestamp { seconds, nanos: 0 });
        let (_, url) = share(&server, &ShareMediaRequest { expire_time, ..of(&media) }).await;
        for (passed, age) in [(0, 60), (90, 10)] {
            server.pass(TimeDelta::seconds(passed));
            let escaped: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
            let answer = get(&format!("{}/oembed?url={escaped}&format=", server.url)).await;
            assert_protected(&answer, &format!("public, max-age={age}"));
            let told: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            assert_eq!(told["cache_age"], age);
        }
    }
}
