//! The starters: from a table in the configuration to media, by two commands, against what stands in for each service; and what
//! they ask of services for which nothing does.

use std::path::Path;
use std::sync::{Arc, Mutex};

use atelier::rpc::proto::{CreateRequestRequest, GenerationInput};
use atelier::stand_in::Protocol;
use axum::Router;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::support::aimock::Aimock;
use crate::support::client::request_for;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::link_host::LinkHost;
use crate::support::process::{atelier, run};
use crate::support::provider::{provider, stand_in};
use crate::support::server::TestServer;
use crate::support::structure::value;

/// What stands in for a service.
enum Service {
    Ours(Protocol),
    Aimock,
    /// Nothing is needed.
    Machine,
}

struct Starter {
    name: &'static str,
    service: Service,
    /// The provider's table, with URL in the place of the stand-in's.
    table: &'static [&'static str],
    /// What is made: the feature's name behind the provider's, and a template. What works from a picture gets the first that was made.
    made: &'static [(&'static str, &'static str)],
    /// How many of its features the table does not make.
    left_out: usize,
}

const STARTERS: &[Starter] = &[
    Starter {
        name: "openai",
        service: Service::Ours(Protocol::OpenAi),
        table: &[
            "kind=openai",
            "base_url=URL/v1",
            r#"makes=["image", "audio"]"#,
            "voice=alloy",
            "edits_path=images/edits",
        ],
        made: &[
            ("image", "illustration"),
            ("edit", "background"),
            ("edit", "remove"),
            ("speech", "narrator"),
        ],
        left_out: 2,
    },
    Starter {
        name: "sdapi",
        service: Service::Ours(Protocol::SdApi),
        table: &["kind=sdapi", "base_url=URL"],
        made: &[("image", "product"), ("edit", "restyle")],
        left_out: 0,
    },
    Starter {
        name: "comfyui",
        service: Service::Ours(Protocol::ComfyUi),
        table: &[
            "kind=comfyui",
            "base_url=URL",
            r#"makes=["image", "video"]"#,
            concat!(
                "workflows=",
                env!("CARGO_MANIFEST_DIR"),
                "/examples/comfyui"
            ),
        ],
        made: &[
            ("image", "photograph"),
            ("edit", "restyle"),
            ("video", "scene"),
        ],
        left_out: 0,
    },
    Starter {
        name: "fal",
        service: Service::Ours(Protocol::Fal),
        table: &[
            "kind=task",
            "profile=fal",
            "base_url=URL",
            "api_key=nobody",
            "poll_every=10ms",
        ],
        made: &[
            ("image", "dish"),
            ("edit", "showcase"),
            ("video", "backdrop"),
            ("animate", "alive"),
        ],
        left_out: 0,
    },
    Starter {
        name: "replicate",
        service: Service::Ours(Protocol::Replicate),
        table: &[
            "kind=task",
            "profile=replicate",
            "base_url=URL/v1",
            "api_key=nobody",
            "poll_every=10ms",
        ],
        made: &[
            ("image", "illustration"),
            ("edit", "restyle"),
            ("video", "scene"),
            ("animate", "turntable"),
        ],
        left_out: 0,
    },
    Starter {
        name: "openrouter",
        service: Service::Aimock,
        table: &[
            "kind=task",
            "profile=openrouter",
            "base_url=URL/api/v1",
            "api_key=nobody",
            "poll_every=10ms",
        ],
        made: &[("video", "scene"), ("animate", "alive")],
        left_out: 0,
    },
    Starter {
        name: "voice",
        service: Service::Machine,
        table: &["kind=voice"],
        made: &[
            ("narration", "announcement_vietnamese"),
            ("narration", "dictation_english"),
        ],
        left_out: 0,
    },
];

on_both_databases! {
    async fn each_starter_makes_media_once_its_service_is_configured(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let mut photo = None;
        for starter in STARTERS {
            let ours = match starter.service {
                Service::Ours(protocol) => Some(stand_in(protocol, Vec::new()).await),
                _ => None,
            };
            let theirs = match starter.service {
                Service::Aimock => Some(Aimock::start().await),
                _ => None,
            };
            let url = ours.as_ref().map(|it| it.url());
            let url = url.or(theirs.as_ref().map(|it| it.url().to_owned())).unwrap_or_default();
            let settings = settings(starter.name, starter.table, &url);
            works(&db, media.path(), starter, &settings, &mut photo).await;
        }
    }

    async fn the_commands_of_the_page_make_what_their_starter_has(db: TestDatabase) {
        let page = include_str!("../../../docs/providers/exec.md");
        let table = page.split("```toml\n").find(|block| block.starts_with("[providers.ffmpeg]"));
        let table: toml::Table = table.unwrap().split("```").next().unwrap().parse().unwrap();
        let lines = table["providers"]["ffmpeg"].as_table().unwrap().iter();
        // On a command line texts stand as they are.
        let plain = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let lines: Vec<_> = lines.map(|(key, value)| format!("{key}={}", plain(value))).collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let settings = settings("ffmpeg", &lines, "");
        let folder = tempfile::tempdir().unwrap();
        let apply = ["catalogue", "apply", "--starter", "exec", "--provider", "ffmpeg"];
        json_of(&db, folder.path(), &settings, &apply).await;
        for (feature, template, of, more) in [
            ("card", "notice", "Mở cửa 7:00–22:00\nCảm ơn quý khách: 100%", &["--var", "from=#102030"][..]),
            ("title", "opening", "It's \"new\": [a] {b}, c\\d", &["--duration", "1"][..]),
            ("title", "lower_third", "Nguyễn Văn A, Hà Nội", &["--duration", "1", "--format", "webm"][..]),
            ("ambience", "sea", "", &["--duration", "2"][..]),
            ("ambience", "rain", "", &["--duration", "2", "--format", "flac"][..]),
            ("ambience", "night", "", &["--duration", "2"][..]),
        ] {
            let feature = format!("ffmpeg_{feature}");
            let asked = ["generate", "--feature", &feature, "--template", template, of];
            let asked: Vec<_> = asked.into_iter().chain(more.iter().copied()).collect();
            is_made(&json_of(&db, folder.path(), &settings, &asked).await, folder.path());
        }
    }

    async fn a_starter_without_its_provider_says_what_is_missing(db: TestDatabase) {
        let output = run(atelier(&db, &["--set", "identity.provision_users=true", "catalogue", "apply", "--starter", "openai"])).await;
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("add a table [providers.openai]"), "{told}");
    }

    async fn what_a_provider_does_not_take_is_no_part_of_its_starter(db: TestDatabase) {
        let folder = tempfile::tempdir().unwrap();
        let table = ["kind=openai", "base_url=http://127.0.0.1:9/v1", r#"makes=["image"]"#];
        let settings = settings("openai", &table, "");
        let applied = json_of(&db, folder.path(), &settings, &["catalogue", "apply", "--starter", "openai"]).await;
        let left_out = json!(["openai_edit", "openai_video", "openai_animate", "openai_speech"]);
        assert_eq!(applied["left_out"], left_out);
        let exported = run(atelier(&db, &["catalogue", "export"])).await;
        let exported = String::from_utf8(exported.stdout).unwrap();
        assert!(exported.contains("openai_image") && !exported.contains("negative_prompt"), "{exported}");
    }
}

/// Applies the starter twice, and makes of it what it says. `photo` is the id of a picture.
async fn works(
    db: &TestDatabase,
    folder: &Path,
    starter: &Starter,
    settings: &[String],
    photo: &mut Option<Value>,
) {
    let apply = ["catalogue", "apply", "--starter", starter.name];
    let applied = json_of(db, folder, settings, &apply).await;
    assert_eq!(
        applied["left_out"].as_array().unwrap().len(),
        starter.left_out
    );
    let again = json_of(db, folder, settings, &apply).await;
    let mut changes = again["changes"].as_array().unwrap().iter();
    assert!(
        changes.all(|change| change["kind"] == "unchanged"),
        "{again}"
    );
    let first = ["generate", "--provider", starter.name, "A blue teapot"];
    let first = json_of(db, folder, settings, &first).await;
    let name = first["feature"].as_str().unwrap();
    assert!(name.starts_with(starter.name), "{first}");
    let photo = photo.get_or_insert_with(|| first["results"][0]["media_id"].clone());
    let photo = format!("photo={photo}");
    for (feature, template) in starter.made {
        let feature = format!("{}_{feature}", starter.name);
        let mut asked = vec![
            "generate",
            "--feature",
            &feature,
            "--template",
            template,
            "A teapot",
        ];
        if feature.ends_with("_edit") || feature.ends_with("_animate") {
            asked.extend(["--var", &photo]);
        }
        is_made(&json_of(db, folder, settings, &asked).await, folder);
    }
}

fn is_made(made: &Value, folder: &Path) {
    let file = made["results"][0]["path"].as_str().unwrap();
    assert!(folder.join(file).metadata().unwrap().len() > 100, "{made}");
}

/// The table as arguments, with the place of its service.
fn settings(name: &str, table: &[&str], url: &str) -> Vec<String> {
    let lines = table.iter().map(|line| line.replace("URL", url));
    let lines = lines.map(|line| format!("providers.{name}.{line}"));
    let more = [
        "identity.provision_users=true",
        r#"fetch.allow=["127.0.0.1/32"]"#,
    ];
    let all = lines.chain(more.map(str::to_owned));
    all.flat_map(|setting| ["--set".to_owned(), setting])
        .collect()
}

/// What a command prints as JSON, which must succeed.
async fn json_of(
    db: &TestDatabase,
    folder: &Path,
    settings: &[String],
    arguments: &[&str],
) -> Value {
    let settings = settings.iter().map(String::as_str);
    let arguments: Vec<_> = settings
        .chain(arguments.iter().copied())
        .chain(["--json"])
        .collect();
    let mut command = atelier(db, &arguments);
    command.current_dir(folder);
    // Where commands are found.
    command.env("PATH", std::env::var("PATH").unwrap());
    let output = run(command).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

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
