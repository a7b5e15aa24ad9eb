//! The starters: from a table in the configuration to media, by two commands, against what stands in for each service.

use std::path::Path;

use atelier::stand_in::{Protocol, StandIn};
use serde_json::Value;

use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::process::{atelier, run};

struct Starter {
    name: &'static str,
    protocol: Protocol,
    /// What follows the stand-in's URL in `base_url`.
    path: &'static str,
    settings: &'static [&'static str],
    /// What is made: the feature's name behind the provider's, and a template.
    made: &'static [(&'static str, &'static str)],
}

const STARTERS: &[Starter] = &[
    Starter {
        name: "openai",
        protocol: Protocol::OpenAi,
        path: "/v1",
        settings: &["kind=openai", r#"makes=["image", "audio"]"#, "voice=alloy"],
        made: &[
            ("image", "photograph"),
            ("image", "illustration"),
            ("speech", "narrator"),
        ],
    },
    Starter {
        name: "sdapi",
        protocol: Protocol::SdApi,
        path: "",
        settings: &["kind=sdapi"],
        made: &[("image", "product")],
    },
    Starter {
        name: "comfyui",
        protocol: Protocol::ComfyUi,
        path: "",
        settings: &[
            "kind=comfyui",
            r#"makes=["image", "video"]"#,
            concat!(
                "workflows=",
                env!("CARGO_MANIFEST_DIR"),
                "/examples/comfyui"
            ),
        ],
        made: &[("image", "photograph"), ("video", "scene")],
    },
    Starter {
        name: "fal",
        protocol: Protocol::Fal,
        path: "",
        settings: &[
            "kind=task",
            "profile=fal",
            "api_key=nobody",
            "poll_every=10ms",
        ],
        made: &[("image", "photograph"), ("video", "scene")],
    },
    Starter {
        name: "replicate",
        protocol: Protocol::Replicate,
        path: "/v1",
        settings: &[
            "kind=task",
            "profile=replicate",
            "api_key=nobody",
            "poll_every=10ms",
        ],
        made: &[("image", "illustration"), ("video", "scene")],
    },
];

on_both_databases! {
    async fn each_starter_makes_media_once_its_service_is_configured(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        for starter in STARTERS {
            let service = StandIn::start(starter.protocol, "127.0.0.1:0".parse().unwrap(), Vec::new());
            let service = service.await.unwrap();
            let settings = settings(starter, &service);
            let applied = json(&db, media.path(), &settings, &["catalogue", "apply", "--starter", starter.name]).await;
            assert!(applied["changes"].as_array().unwrap().len() > 3, "{applied}");
            let again = json(&db, media.path(), &settings, &["catalogue", "apply", "--starter", starter.name]).await;
            let changes = again["changes"].as_array().unwrap();
            assert!(changes.iter().all(|change| change["kind"] == "unchanged"), "{again}");
            let first = ["generate", "--provider", starter.name, "A blue teapot"];
            let made = json(&db, media.path(), &settings, &first).await;
            assert!(made["feature"].as_str().unwrap().starts_with(starter.name), "{made}");
            for (feature, template) in starter.made {
                let feature = format!("{}_{feature}", starter.name);
                let asked = ["generate", "--feature", &feature, "--template", template, "A blue teapot"];
                let made = json(&db, media.path(), &settings, &asked).await;
                let file = made["results"][0]["path"].as_str().unwrap();
                assert!(media.path().join(file).metadata().unwrap().len() > 100, "{made}");
            }
        }
    }

    async fn a_starter_without_its_provider_says_what_is_missing(db: TestDatabase) {
        let output = run(atelier(&db, &["--set", "identity.provision_users=true", "catalogue", "apply", "--starter", "openai"])).await;
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("add a table [providers.openai]"), "{told}");
    }
}

fn settings(starter: &Starter, service: &StandIn) -> Vec<String> {
    let base = format!("base_url={}{}", service.url(), starter.path);
    let all = starter.settings.iter().copied().chain([base.as_str()]);
    all.map(|setting| format!("providers.{}.{setting}", starter.name))
        .chain(["identity.provision_users=true".to_owned()])
        .collect()
}

/// What a command prints as JSON, which must succeed.
async fn json(db: &TestDatabase, folder: &Path, settings: &[String], arguments: &[&str]) -> Value {
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let arguments: Vec<_> = settings
        .chain(arguments.iter().copied())
        .chain(["--json"])
        .collect();
    let mut command = atelier(db, &arguments);
    command.current_dir(folder);
    let output = run(command).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}");
    serde_json::from_slice(&output.stdout).unwrap()
}
