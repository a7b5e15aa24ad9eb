//! Pictures and masks that come along with a call, as files or as links.

use std::time::Duration;

use atelier::app::{Removal, RemovalMode};
use atelier::media::{Owner, StorageKey};
use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, FeatureProperties, JobStatus,
};
use atelier::stand_in::Protocol;
use base64::{Engine, prelude::BASE64_STANDARD};
use codec::Format;
use codec::picture::encode;
use futures::TryStreamExt;
use image::{Rgb, RgbImage};
use reqwest::StatusCode;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::bucket::{keep_media_in, serve_bucket_holding};
use crate::support::client::{request_for, scripted_feature};
use crate::support::database::on_both_databases;
use crate::support::http::browser;
use crate::support::provider::stand_in;
use crate::support::server::{TestServer, within};
use atelier::config::{ProviderConfig, ScriptedConfig};

use super::{IMAGES, add_painter, enable, newest, painted, post, requests, send};

on_both_databases! {
    async fn pictures_that_come_along_are_kept_with_the_request_although_links_are_not_followed(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            enable(config);
            config.fetch.enabled = Some(false);
            let blind = ScriptedConfig { folder: std::env::temp_dir(), pictures: false, limits: Default::default() };
            config.providers.insert("blind".to_owned(), ProviderConfig::Scripted(blind));
        }).await;
        let feature = server.scripted_feature().await;
        for (name, provider) in [("drawn", "builtin"), ("blind", "blind")] {
            let small = scripted_feature(name);
            let properties = FeatureProperties { provider: provider.to_owned(), ..small.properties.clone().unwrap() };
            server.add_feature(CreateFeatureRequest { properties: Some(properties), ..small }).await;
        }
        let edit = |model: &str, files: &[(&'static str, Vec<u8>)]| {
            let form = Form::new().text("model", model.to_owned()).text("prompt", "Xin chào").text("user", "12");
            let form = files.iter().fold(form, |form, (name, content)| {
                form.part(*name, Part::bytes(content.clone()).file_name("a.png"))
            });
            browser().post(format!("{}/v1/images/edits", server.url())).multipart(form)
        };
        let source = png((48, 32));
        let answer = send(edit("scripted", &[("image[]", source.clone())]).header("idempotency-key", "k")).await;
        assert_eq!(answer.body["size"], "48x32", "{}", answer.body);
        let again = send(edit("scripted", &[("image[]", source.clone())]).header("idempotency-key", "k")).await;
        assert_eq!(answer.body, again.body);
        let other = send(edit("scripted", &[("image[]", png((8, 8)))]).header("idempotency-key", "k")).await;
        assert_eq!(other.error(), (400, "IDEMPOTENCY_KEY_REUSED", Some("Idempotency-Key")));
        let asked = newest(&server).await;
        assert_eq!((asked.user_id, asked.user_media_urls.len()), (12, 1));
        assert!(asked.user_media_urls[0].starts_with("https://uploads.invalid/"), "{:?}", asked.user_media_urls);
        // Whoever knows the link gets nothing by it.
        let stolen = CreateRequestRequest { user_media_urls: asked.user_media_urls, ..request_for(feature) };
        let job = server.create(stolen).await.1.remove(0);
        assert_eq!(server.ended(job.id).await.code(), "INPUT_UNREADABLE");

        for (model, files, field) in [
            ("scripted", vec![], "image"),
            ("scripted", vec![("image", b"GIF89a, or not".to_vec())], "image"),
            ("scripted", vec![("image", source.clone()), ("mask", b"GIF89a, or not".to_vec())], "mask"),
            ("scripted", vec![("image", source.clone()), ("mask", source.clone())], "mask"),
            ("scripted", vec![("image", source.clone()), ("source", source.clone())], "source"),
            ("blind", vec![("image", source.clone())], "image"),
            ("blind", vec![("image[]", source.clone()), ("image[]", png((8, 8)))], "image[]"),
        ] {
            let answer = send(edit(model, &files)).await;
            assert_eq!(answer.error(), (400, "VALIDATION_FAILED", Some(field)), "{}", answer.body);
        }
        assert_eq!(requests(&server).await, 2);
        let drawn = send(edit("drawn", &[("image", source)])).await;
        assert_eq!(drawn.status, StatusCode::OK, "{}", drawn.body);
    }

    async fn a_mask_goes_with_its_picture_to_a_provider_that_takes_one(db: TestDatabase) {
        let service = stand_in(Protocol::OpenAi, Vec::new()).await;
        let server = TestServer::start_with(&db, |config| {
            enable(config);
            add_painter(config, &service);
        }).await;
        server.add_feature(painted()).await;
        let (source, mask) = (png((48, 32)), png((24, 16)));
        let form = |text: &[(&'static str, &'static str)], files: &[(&'static str, &Vec<u8>)]| {
            let form = Form::new().text("model", "painted").text("prompt", "Xin chào");
            let form = text.iter().fold(form, |form, (name, text)| form.text(*name, *text));
            let form = files.iter().fold(form, |form, (name, content)| {
                form.part(*name, Part::bytes(content.to_vec()).file_name("a.png"))
            });
            browser().post(format!("{}/v1/images/edits", server.url())).multipart(form)
        };
        let answer = send(form(&[], &[("mask", &mask), ("image", &source)])).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let asked = newest(&server).await;
        let link = asked.input.unwrap().mask_url.unwrap();
        assert!(link.starts_with("https://uploads.invalid/") && link != asked.user_media_urls[0], "{link}");
        let calls = service.calls();
        assert_eq!((calls.len(), calls[0].path.as_str()), (1, "/v1/images/edits"));
        assert_eq!(calls[0].body["image[]"], json!([{ "type": "image/png", "bytes": source.len() }]));
        assert_eq!(calls[0].body["mask"][0]["type"], "image/png");

        // A link among the files comes behind them, wherever it stands.
        let link = "https://example.com/a.png";
        let answer = send(form(&[("user_media_urls", link), ("user_media_urls", "nowhere")], &[("image[]", &source)])).await;
        assert_eq!(answer.error(), (400, "VALIDATION_FAILED", Some("user_media_urls[2]")), "{}", answer.body);
        for (text, files, field) in [
            (vec![("mask", "nowhere")], vec![("image", &source)], "mask"),
            (vec![("mask", link), ("mask_url", link)], vec![("image", &source)], "mask"),
            (vec![("user_media_urls[a]", link), ("user_media_urls", link)], vec![("image", &source)], "user_media_urls"),
        ] {
            assert_eq!(send(form(&text, &files)).await.error().2, Some(field), "{text:?}");
        }
        // Links as OpenAI has them, which are not followed here.
        let linked = |more: Value| {
            let mut asked = json!({ "model": "painted", "prompt": "Xin chào" });
            asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            post(&server, "/v1/images/edits", &asked)
        };
        let [a, b, c] = ["a", "b", "c"].map(|name| format!("http://localhost:1/{name}.png"));
        for (more, links, mask) in [
            (json!({ "images": [{ "image_url": a }, b], "mask": { "image_url": c } }), [&a, &b], &c),
            (json!({ "image": b, "user_media_urls": [a], "mask_url": c }), [&b, &a], &c),
        ] {
            let answer = send(linked(more)).await;
            assert_eq!(answer.error().1, "INPUT_UNREADABLE", "{}", answer.body);
            let asked = newest(&server).await;
            assert_eq!((asked.user_media_urls, asked.input.unwrap().mask_url), (links.map(String::clone).to_vec(), Some(mask.clone())));
        }
        let [source_data, mask_data] = [&source, &mask].map(|file| format!("data:image/png;base64,{}", BASE64_STANDARD.encode(file)));
        let answer = send(linked(json!({ "images": [{ "image_url": source_data }], "mask": { "image_url": mask_data } }))).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(service.calls()[1].body["image[]"], calls[0].body["image[]"]);
        assert_eq!(service.calls()[1].body["mask"], calls[0].body["mask"]);
        for (more, field) in [
            (json!({ "image": "data:image/png;base64,AAAA" }), "image"),
            (json!({ "image": source_data, "mask": "data:image/png,AAAA" }), "mask"),
            (json!({ "images": [{ "file_id": "file-1" }] }), "images"),
            (json!({ "images": [{ "image_url": link }, { "image_url": "nowhere" }] }), "images"),
            (json!({ "image": link, "mask": { "file_id": "file-1" } }), "mask"),
        ] {
            assert_eq!(send(linked(more)).await.error(), (400, "VALIDATION_FAILED", Some(field)));
        }
        let alone = json!({ "model": "painted", "prompt": "Xin chào", "mask": link });
        assert_eq!(send(post(&server, IMAGES, &alone)).await.error(), (400, "VALIDATION_FAILED", Some("mask")));
        let of_no_picture = json!({ "model": "painted", "prompt": "Xin chào", "mask": {}, "user_media_urls": [link] });
        assert_eq!(send(post(&server, "/v1/images/edits", &of_no_picture)).await.error(), (400, "VALIDATION_FAILED", Some("mask")));
        assert_eq!((requests(&server).await, service.calls().len()), (4, 2));
    }

    async fn a_slow_storage_holds_up_only_who_sends_pictures_and_what_is_refused_leaves_none(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let (bucket, hold) = serve_bucket_holding(&root, "/inputs/").await;
        let server = TestServer::start_with(&db, |config| {
            enable(config);
            keep_media_in(&bucket, config);
        }).await;
        let feature = server.scripted_feature().await;
        let edit = |n: &'static str| {
            let form = Form::new().text("model", "scripted").text("prompt", "Xin chào").text("n", n);
            let form = form.part("image", Part::bytes(png((48, 32))).file_name("a.png"));
            browser().post(format!("{}/v1/images/edits", server.url())).multipart(form)
        };
        assert_eq!(send(edit("1000")).await.error(), (400, "VALIDATION_FAILED", Some("n")));
        let held = tokio::spawn(send(edit("1")));
        hold.begun().await;
        let others = [server.made(request_for(feature)).await, server.made(request_for(feature)).await];
        assert_eq!(others.map(|ended| ended.job.status()), [JobStatus::Completed; 2]);
        assert_eq!(requests(&server).await, 2);
        // Whoever hangs up has asked for nothing.
        let dropped = tokio::spawn(send(edit("1")));
        hold.begun().await;
        dropped.abort();
        hold.end();
        let answer = within(held).await.unwrap();
        assert_eq!((answer.status, &answer.body["size"]), (StatusCode::OK, &json!("48x32")), "{}", answer.body);
        assert_eq!(requests(&server).await, 3);
        let id: i64 = answer.header("x-atelier-request-id").unwrap().parse().unwrap();
        // What was kept for a request that never came goes as any object without a record.
        let storage = &server.app().storage;
        let lost = StorageKey::for_input(id + 1_000, "https://uploads.invalid/a.png", Format::Png);
        storage.put(&lost, png((8, 8)).into(), None).await.unwrap();
        let removal = Removal { age: Duration::ZERO, mode: RemovalMode::On, share: None };
        let swept = within(server.app().sweep_storage(&removal)).await.unwrap();
        assert!(swept.removed >= 1 && swept.withheld.is_none(), "{swept:?}");
        let kept: Vec<_> = storage.list().try_collect().await.unwrap();
        let brought: Vec<_> = kept.iter().map(|object| object.key.owner()).filter(|it| matches!(it, Owner::Request(_))).collect();
        assert_eq!(brought, [Owner::Request(id)], "{kept:?}");
    }
}

fn png((width, height): (u32, u32)) -> Vec<u8> {
    let picture = RgbImage::from_pixel(width, height, Rgb([200, 30, 60]));
    encode(&picture, Format::Png).unwrap().into()
}
