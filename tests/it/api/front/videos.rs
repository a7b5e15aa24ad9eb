//! Videos: made, listed, fetched and deleted.

use atelier::rpc::proto::{CreateFeatureRequest, CreateRequestRequest, MediaType};
use codec::samples::ffmpeg;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use serde_json::json;

use crate::support::client::{request_for, scripted_feature};
use crate::support::database::on_both_databases;
use crate::support::http::browser;
use crate::support::script::Script;

use super::{Answer, jobs_of, newest, picture, post, send, with_front};

on_both_databases! {
    async fn videos_are_listed_page_by_page_whatever_lies_between(db: TestDatabase) {
        let server = with_front(&db).await;
        let clips = server.add_feature(CreateFeatureRequest { category: MediaType::Video.into(), ..scripted_feature("clips") }).await.id;
        let pictures = server.add_feature(scripted_feature("pictures")).await.id;
        let hang = Script::new(&["hang"]);
        let mut asked = picture(hang.json());
        asked["model"] = json!("clips");
        let mut videos = Vec::new();
        for user in ["7", "12", "7", "7", "12", "7", "7"] {
            asked["user"] = json!(user);
            let video = send(post(&server, "/v1/videos", &asked)).await.body;
            if user == "7" {
                videos.insert(0, video["id"].as_str().unwrap().to_owned());
            }
            server.create(request_for(pictures)).await;
        }
        let through_the_api = server.create(CreateRequestRequest { user_id: 7, ..request_for(clips) }).await.0;
        videos.insert(0, format!("video_{}", through_the_api.id));
        let list = async |query: &str| send(browser().get(format!("{}/v1/videos?user=7&{query}", server.url()))).await;
        let ids = |answer: &Answer| {
            let data = answer.body["data"].as_array().unwrap_or_else(|| panic!("{}", answer.body));
            data.iter().map(|video| video["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let all = list("").await;
        assert_eq!((ids(&all), &all.body["object"], &all.body["has_more"]), (videos.clone(), &json!("list"), &json!(false)));
        assert_eq!((&all.body["first_id"], &all.body["last_id"]), (&json!(videos[0]), &json!(videos[5])));
        for (order, expected) in [("desc", videos.clone()), ("asc", videos.iter().rev().cloned().collect())] {
            for limit in 1..=6 {
                let (mut found, mut after, mut more) = (Vec::new(), String::new(), true);
                while more {
                    let page = list(&format!("order={order}&limit={limit}{after}")).await;
                    found.extend(ids(&page));
                    assert!(ids(&page).len() <= limit, "{}", page.body);
                    more = page.body["has_more"].as_bool().unwrap();
                    after = format!("&after={}", page.body["last_id"].as_str().unwrap());
                }
                assert_eq!(found, expected, "{order} by {limit}");
            }
        }
        // A list tells of each what is told of it alone, and nothing of what is deleted; a page after it comes all the same.
        let one = browser().get(format!("{}/v1/videos/{}", server.url(), videos[2]));
        assert_eq!(all.body["data"][2], send(one).await.body);
        send(browser().delete(format!("{}/v1/videos/{}", server.url(), videos[2]))).await;
        let rest = list(&format!("after={}", videos[2])).await;
        assert_eq!((ids(&rest), ids(&list("").await).len()), (videos[3..].to_vec(), 5));
        let others = send(browser().get(format!("{}/v1/videos?user=99", server.url()))).await.body;
        assert_eq!(others, json!({ "object": "list", "data": [], "first_id": null, "last_id": null, "has_more": false }));
        for (query, field) in [
            ("limit=0", "limit"), ("limit=101", "limit"), ("limit=-1", "limit"), ("limit=many", "limit"), ("after=17", "after"),
            ("after=video_x", "after"), ("order=newest", "order"), ("user=bob", "user"), ("user=-1", "user"),
        ] {
            let answer = send(browser().get(format!("{}/v1/videos?{query}", server.url()))).await;
            assert_eq!(answer.error(), (400, "VALIDATION_FAILED", Some(field)), "{query}: {}", answer.body);
        }
    }

    async fn a_video_is_there_in_parts_and_not_before_it_is_made(db: TestDatabase) {
        let server = with_front(&db).await;
        let file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
        std::fs::write(file.path(), ffmpeg("-f lavfi -i testsrc=size=64x64:rate=5:duration=1 -pix_fmt yuv420p", "mp4")).unwrap();
        let script = Script::delivering(file.path()).gated();
        let feature = CreateFeatureRequest { category: MediaType::Video.into(), ..scripted_feature("clips") };
        server.add_feature(feature).await;
        let mut asked = picture(script.json());
        asked["model"] = json!("clips");
        asked["seconds"] = json!("2");
        let video = send(post(&server, "/v1/videos", &asked)).await.body;
        assert_eq!((&video["object"], &video["seconds"], &video["model"]), (&json!("video"), &json!("2"), &json!("clips")));
        let url = format!("{}/v1/videos/{}", server.url(), video["id"].as_str().unwrap());
        let content = || browser().get(format!("{url}/content"));
        assert_eq!(send(content()).await.error(), (404, "REQUEST_UNFINISHED", None));
        script.open_gate();
        let job = jobs_of(&server, newest(&server).await.id).await.remove(0);
        server.completed(job.id).await;
        assert_eq!(send(browser().get(&url)).await.body["status"], "completed");
        let part = send(content().header(RANGE, "bytes=4-7")).await;
        assert_eq!((part.status, part.header("content-type")), (StatusCode::PARTIAL_CONTENT, Some("video/mp4")));
        assert!(part.headers[CONTENT_RANGE].to_str().unwrap().starts_with("bytes 4-7/"));
        let whole = send(content()).await;
        assert_eq!(whole.headers[CONTENT_LENGTH].to_str().unwrap(), server.media_of(job.id).await[0].file_size.to_string());
        assert_eq!(send(browser().get(format!("{url}/content?variant=spritesheet"))).await.error(), (400, "VALIDATION_FAILED", Some("variant")));

        let thumbnail = send(browser().get(format!("{url}/content?variant=thumbnail"))).await;
        assert_eq!(thumbnail.error(), (404, "MEDIA_NOT_FOUND", None));
        assert!(thumbnail.body["error"]["message"].as_str().unwrap().contains("has no thumbnail"), "{}", thumbnail.body);

        let picture = server.create(request_for(job.feature_id - 1)).await.0;
        for unknown in ["video_0", "video_x", "1", &format!("video_{}", picture.id)] {
            let asked = browser().get(format!("{}/v1/videos/{unknown}", server.url()));
            assert_eq!(send(asked).await.error(), (404, "REQUEST_NOT_FOUND", None), "{unknown}");
        }
        assert_eq!(send(browser().delete(&url)).await.body["deleted"], true);
        assert_eq!(send(content()).await.error(), (404, "REQUEST_NOT_FOUND", None));
    }
}
