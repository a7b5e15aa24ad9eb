//! What the starters ask of services, also of those for which nothing stands in: each is held against the vendor's description.

use std::sync::{Arc, Mutex};

use atelier::rpc::proto::{CreateRequestRequest, GenerationInput};
use axum::Router;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::{json_of, settings};
use crate::support::client::request_for;
use crate::support::database::{Backend, TestDatabase};
use crate::support::link_host::LinkHost;
use crate::support::provider::provider;
use crate::support::server::TestServer;
use crate::support::structure::value;

/// A service by its profile; a feature and a template; and what must be asked for them, by the vendor's description, without the
/// words, which are in `text`, and with LINK and DATA in the place of the picture.
struct Asked {
    profile: &'static str,
    feature: &'static str,
    template: &'static str,
    path: &'static str,
    body: &'static str,
}

const fn asked(
    profile: &'static str,
    [feature, template]: [&'static str; 2],
    path: &'static str,
    body: &'static str,
) -> Asked {
    Asked {
        profile,
        feature,
        template,
        path,
        body,
    }
}

const ASKED: &[Asked] = &[
    asked(
        "bfl",
        ["image", "product"],
        "/flux-2-pro",
        r#"{"width":1072,"height":1072,"seed":7,"output_format":"png"}"#,
    ),
    asked(
        "bfl",
        ["edit", "showcase"],
        "/flux-2-pro",
        r#"{"width":1072,"height":1072,"seed":7,"output_format":"png","input_image":"LINK"}"#,
    ),
    asked(
        "luma",
        ["image", "dish"],
        "/generations/image",
        r#"{"model":"photon-1","aspect_ratio":"1:1","format":"jpg"}"#,
    ),
    asked(
        "luma",
        ["video", "scene"],
        "/generations/video",
        r#"{"model":"ray-2","aspect_ratio":"16:9","resolution":"720p","duration":"5s"}"#,
    ),
    asked(
        "luma",
        ["animate", "alive"],
        "/generations/video",
        r#"{"model":"ray-2","aspect_ratio":"16:9","resolution":"720p","duration":"5s",
            "keyframes":{"frame0":{"type":"image","url":"LINK"}}}"#,
    ),
    asked(
        "runway",
        ["image", "photograph"],
        "/text_to_image",
        r#"{"model":"gen4_image","ratio":"1080:1080","seed":7}"#,
    ),
    asked(
        "runway",
        ["edit", "restyle"],
        "/text_to_image",
        r#"{"model":"gen4_image","ratio":"1080:1080","seed":7,"referenceImages":[{"uri":"LINK"}]}"#,
    ),
    asked(
        "runway",
        ["video", "backdrop"],
        "/text_to_video",
        r#"{"model":"gen4.5","ratio":"1280:720","duration":5,"seed":7}"#,
    ),
    asked(
        "runway",
        ["animate", "turntable"],
        "/image_to_video",
        r#"{"model":"gen4.5","ratio":"1280:720","duration":5,"seed":7,"promptImage":"LINK"}"#,
    ),
    asked(
        "kling",
        ["image", "illustration"],
        "/images/generations",
        r#"{"model_name":"kling-v2-1","aspect_ratio":"1:1","n":1}"#,
    ),
    asked(
        "kling",
        ["video", "scene"],
        "/videos/text2video",
        r#"{"model_name":"kling-v2-6","aspect_ratio":"16:9","duration":"5","mode":"pro"}"#,
    ),
    asked(
        "kling",
        ["animate", "alive"],
        "/videos/image2video",
        r#"{"model_name":"kling-v2-6","duration":"5","mode":"pro","image":"LINK"}"#,
    ),
    asked(
        "minimax",
        ["video", "scene"],
        "/video_generation",
        r#"{"model":"MiniMax-H3","content":[{"type":"text"}],"ratio":"16:9","resolution":"768P","duration":6}"#,
    ),
    asked(
        "minimax",
        ["animate", "alive"],
        "/video_generation",
        r#"{"model":"MiniMax-H3","content":[{"type":"text"},{"type":"image_url","image_url":{"url":"LINK"},"role":"first_frame"}],
            "ratio":"16:9","resolution":"768P","duration":6}"#,
    ),
    asked(
        "ark",
        ["video", "backdrop"],
        "/contents/generations/tasks",
        r#"{"model":"doubao-seedance-1-5-pro-251215","content":[{"type":"text"}],"ratio":"16:9","seed":7,"resolution":"720p"}"#,
    ),
    asked(
        "ark",
        ["animate", "turntable"],
        "/contents/generations/tasks",
        r#"{"model":"doubao-seedance-1-5-pro-251215","ratio":"16:9","seed":7,"resolution":"720p",
            "content":[{"type":"text"},{"type":"image_url","image_url":{"url":"LINK"},"role":"first_frame"}]}"#,
    ),
    asked(
        "dashscope",
        ["image", "photograph"],
        "/services/aigc/text2image/image-synthesis",
        r#"{"model":"wan2.5-t2i-preview","input":{},"parameters":{"size":"1080*1080","n":1,"seed":7}}"#,
    ),
    asked(
        "dashscope",
        ["video", "scene"],
        "/services/aigc/video-generation/video-synthesis",
        r#"{"model":"wan3.0-video","input":{},"parameters":{"ratio":"16:9","seed":7,"resolution":"720P"}}"#,
    ),
    asked(
        "dashscope",
        ["animate", "alive"],
        "/services/aigc/video-generation/video-synthesis",
        r#"{"model":"wan3.0-video","input":{"media":[{"type":"first_frame","url":"LINK"}]},
            "parameters":{"ratio":"16:9","seed":7,"resolution":"720P"}}"#,
    ),
    asked(
        "veo",
        ["video", "scene"],
        "/models/veo-3.1-generate-preview:predictLongRunning",
        r#"{"instances":[{}],"parameters":{"aspectRatio":"16:9","seed":7}}"#,
    ),
    asked(
        "veo",
        ["animate", "alive"],
        "/models/veo-3.1-generate-preview:predictLongRunning",
        r#"{"instances":[{"image":{"inlineData":{"mimeType":"image/png","data":"DATA"}}}],"parameters":{"aspectRatio":"16:9","seed":7}}"#,
    ),
    asked(
        "xai",
        ["video", "backdrop"],
        "/videos/generations",
        r#"{"model":"grok-imagine-video","aspect_ratio":"16:9","resolution":"720p"}"#,
    ),
    asked(
        "xai",
        ["animate", "alive"],
        "/videos/generations",
        r#"{"model":"grok-imagine-video","aspect_ratio":"16:9","resolution":"720p","image":{"url":"LINK"}}"#,
    ),
    asked(
        "openrouter",
        ["animate", "turntable"],
        "/videos",
        r#"{"model":"bytedance/seedance-2.0","aspect_ratio":"16:9","resolution":"720p","seed":7,
            "frame_images":[{"type":"image_url","image_url":{"url":"LINK"},"frame_type":"first_frame"}]}"#,
    ),
    asked(
        "horde",
        ["image", "photograph"],
        "/generate/async",
        r#"{"models":["AlbedoBase XL (SDXL)"],"r2":true,"params":{"n":1,"seed":"7","width":1024,"height":1024}}"#,
    ),
    asked(
        "sd-server",
        ["image", "dish"],
        "/sdcpp/v1/img_gen",
        r#"{"width":1080,"height":1080,"seed":7,"output_format":"png"}"#,
    ),
    asked(
        "sd-server",
        ["edit", "restyle"],
        "/sdcpp/v1/img_gen",
        r#"{"width":1080,"height":1080,"seed":7,"output_format":"png","init_image":"DATA"}"#,
    ),
];

/// Where words stand in what vendors are asked.
const TEXTS: [&str; 5] = [
    "prompt",
    "promptText",
    "text",
    "negative_prompt",
    "negativePrompt",
];

type Calls = Arc<Mutex<Vec<(String, Value)>>>;

/// Refuses everything, and keeps it.
async fn refusing() -> (String, Calls, AbortOnDropHandle<()>) {
    let calls = Calls::default();
    let kept = calls.clone();
    let refuse = async move |uri: Uri, body: String| {
        let body = serde_json::from_str(&body).unwrap_or_default();
        kept.lock().unwrap().push((uri.path().to_owned(), body));
        (StatusCode::UNPROCESSABLE_ENTITY, r#"{"error":"refused"}"#)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = axum::serve(listener, Router::new().fallback(refuse));
    let serving = tokio::spawn(async move { serving.await.unwrap() });
    (url, calls, AbortOnDropHandle::new(serving))
}

/// On one database, since nothing of it depends on that.
#[tokio::test(flavor = "multi_thread")]
async fn each_starter_asks_its_service_for_what_the_vendor_describes() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let (url, calls, _refusing) = refusing().await;
    let pictures = LinkHost::start().await;
    let folder = tempfile::tempdir().unwrap();
    let link = pictures.link("p.png");
    let table = |profile: &str| {
        let lines = [
            "kind=task".to_owned(),
            format!("profile={profile}"),
            format!("base_url={url}"),
            "api_key=nobody".to_owned(),
            "api_secret=nobody".to_owned(),
        ];
        let signs = profile == "kling";
        let lines = lines.into_iter();
        let lines = lines.filter(|line| signs || !line.starts_with("api_secret"));
        lines.collect::<Vec<_>>()
    };
    let mut profiles: Vec<_> = ASKED.iter().map(|asked| asked.profile).collect();
    profiles.dedup();
    let server = TestServer::start_with(&db, |config| {
        config.executor.max_attempts = 1;
        config.fetch.allow = vec!["127.0.0.1/32".parse().unwrap()];
        for profile in &profiles {
            let table = provider(&table(profile));
            config.providers.insert((*profile).to_owned(), table);
        }
    })
    .await;
    for profile in &profiles {
        let lines = table(profile);
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let settings = settings(profile, &lines, "");
        let apply = ["catalogue", "apply", "--starter", profile];
        json_of(&db, folder.path(), &settings, &apply).await;
    }
    for expected in ASKED {
        let (name, template) = (
            format!("{}_{}", expected.profile, expected.feature),
            expected.template,
        );
        let (feature, template) = server.starter(&name, template).await;
        let photo = matches!(expected.feature, "edit" | "animate");
        let variables = photo.then(|| ("photo".to_owned(), value(&json!(link.as_str()))));
        let asked = CreateRequestRequest {
            template_id: Some(template),
            input: Some(GenerationInput {
                seed: Some(7),
                variables: variables.into_iter().collect(),
                ..Default::default()
            }),
            ..request_for(feature)
        };
        let (_, jobs) = server.create(asked).await;
        let ended = server.ended(jobs[0].id).await;
        assert_eq!(ended.code(), "PROVIDER_REJECTED_INPUT", "{name}");
        let mut told = std::mem::take(&mut *calls.lock().unwrap());
        assert_eq!(told.len(), 1, "{name}");
        let (path, mut body) = told.remove(0);
        let mut words = Vec::new();
        without_words(&mut body, link.as_str(), &mut words);
        let wanted: Value = serde_json::from_str(expected.body).unwrap();
        assert_eq!((path.as_str(), &body), (expected.path, &wanted), "{name}");
        assert!(!words.is_empty(), "{name}");
    }
    server.stop().await;
}

/// Takes the words out, and says where the picture stands.
fn without_words(body: &mut Value, link: &str, words: &mut Vec<String>) {
    match body {
        Value::Object(map) => {
            map.retain(|key, value| match value.as_str() {
                Some(text) if TEXTS.contains(&key.as_str()) => {
                    words.push(text.to_owned());
                    false
                }
                _ => true,
            });
            map.values_mut()
                .for_each(|value| without_words(value, link, words));
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| without_words(item, link, words)),
        Value::String(text) if text == link => *text = "LINK".to_owned(),
        Value::String(text) if text.len() > 100 => *text = "DATA".to_owned(),
        _ => {}
    }
}
