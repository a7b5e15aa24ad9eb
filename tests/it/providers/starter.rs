//! The starters: from a table in the configuration to media, by two commands, against what stands in for each service.

mod asked;

use std::path::Path;

use atelier::stand_in::Protocol;
use serde_json::{Value, json};

use crate::support::aimock::Aimock;
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::process::{atelier, run};
use crate::support::provider::{QUICK_VIDEOS, stand_in};

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
            r#"makes=["image", "video", "audio"]"#,
            "voice=alloy",
            "edits_path=images/edits",
            "video_model=filmer-1",
            QUICK_VIDEOS,
        ],
        made: &[
            ("image", "illustration"),
            ("edit", "background"),
            ("edit", "remove"),
            ("video", "scene"),
            ("animate", "alive"),
            ("speech", "narrator"),
        ],
        left_out: 0,
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
