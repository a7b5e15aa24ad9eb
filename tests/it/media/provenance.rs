//! Recipes: how a file was made, told by its job and by the file itself.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, CreateTemplateRequest, FeatureProperties,
    GenerationInput, Media, MediaRole, MediaType, OutputSettings, TemplateData,
};
use codec::provenance;
use prost_types::value::Kind;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::support::client::{Client, plain_template, request_for};
use crate::support::database::on_both_databases;
use crate::support::process::run;
use crate::support::server::TestServer;
use crate::support::structure::structure;
use crate::support::watching::Ended;

on_both_databases! {
    async fn a_picture_and_its_formats_tell_what_made_them(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = feature(&server, FeatureProperties { thumbnail_sizes: vec![32], omit_thumbnails: false, ..drawn() }).await;
        let asked = picture(feature, &["png", "jpg", "webp"]);
        let (ended, media) = made(&server, asked.clone()).await;
        let told = &ended.job.output_metadata.as_ref().unwrap().fields["recipe"];
        let mut recipe = recipe_of(&server, &media[0]).await.unwrap();
        assert_eq!(*told, crate::support::structure::value(&Value::Object(recipe.clone())));
        let hash = recipe.remove("hash").unwrap();
        assert!(hash.as_str().unwrap().starts_with("sha256:"), "{hash}");
        assert_eq!(Value::Object(recipe), json!({
            "version": 1, "provider": "builtin", "model": "atelier-poster-1",
            "feature": { "id": feature, "name": "drawn", "version": 1 },
            "input": {
                "prompt": "Xin chào", "negative_prompt": "rain", "seed": 7, "width": 96, "height": 64, "format": "png",
            },
        }));
        for media in &media {
            let made_of_it = recipe_of(&server, media).await;
            let tells = media.role() != MediaRole::Thumbnail;
            assert_eq!(made_of_it.is_some_and(|recipe| recipe["hash"] == hash), tells, "{:?}", media.role());
            assert_facts_of_the_stored_file(&server, media).await;
        }

        let (_, again) = made(&server, asked).await;
        assert_eq!(digests(&again), digests(&media), "the same request gives the same bytes");
    }

    async fn the_recipe_names_the_template_and_its_version_and_keeps_the_system_prompt(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let mut recipes = Vec::new();
        for (name, system_prompt) in [("kind", "Be kind, 5ec2e7."), ("strict", "Be strict, 5ec2e7.")] {
            let feature = CreateFeatureRequest { system_prompt: system_prompt.to_owned(), ..described(name, drawn()) };
            let feature = server.add_feature(feature).await.id;
            let template = server.add_template(CreateTemplateRequest {
                template_data: Some(TemplateData { prompt: "Grand: {{ user_prompt }}".to_owned(), ..Default::default() }),
                ..plain_template(feature, "opening")
            }).await;
            let asked = CreateRequestRequest { template_id: Some(template.id), ..picture(feature, &["webp"]) };
            let (_, media) = made(&server, asked).await;
            let content = server.content_of(&media[0]).await;
            assert!(!String::from_utf8_lossy(&content).contains("5ec2e7"));
            let recipe = provenance::read(&content).unwrap();
            assert_eq!(recipe["template"], json!({ "id": template.id, "name": "opening", "version": 1 }));
            assert_eq!(recipe["input"]["prompt"], "Grand: Xin chào");
            assert_eq!(recipe["input"]["user_prompt"], "Xin chào");
            recipes.push(recipe);
        }
        assert_ne!(recipes[0]["hash"], recipes[1]["hash"]);
    }

    async fn a_feature_s_files_can_be_silent_and_its_jobs_tell_all_the_same(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = feature(&server, FeatureProperties { omit_recipe: true, ..drawn() }).await;
        let (ended, media) = made(&server, picture(feature, &["png", "jpg"])).await;
        assert!(ended.job.output_metadata.unwrap().fields.contains_key("recipe"));
        for media in media {
            assert_eq!(recipe_of(&server, &media).await, None, "{}", media.format);
            assert_eq!(not_embedded(&media), None, "it is not wanted there");
        }
    }

    async fn a_recipe_too_long_for_its_file_fails_no_job(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = feature(&server, drawn()).await;
        let template = server.add_template(CreateTemplateRequest {
            template_data: Some(TemplateData {
                style: Some(structure(&json!({ "remark": "x".repeat(60_000), "more": "&".repeat(2_000) }))),
                ..Default::default()
            }),
            ..plain_template(feature, "long")
        }).await;
        let asked = CreateRequestRequest { template_id: Some(template.id), ..picture(feature, &["jpg", "png"]) };
        let (_, media) = made(&server, asked).await;
        let [jpg, png] = &media[..] else { panic!("{media:?}") };
        assert_eq!(recipe_of(&server, jpg).await, None);
        let why = not_embedded(jpg).unwrap();
        assert!(why.ends_with("more than the 65502 that fit"), "{why}");
        assert_facts_of_the_stored_file(&server, jpg).await;
        assert!(recipe_of(&server, png).await.is_some(), "there is room for it");
        assert_eq!(not_embedded(png), None);
    }
}

#[tokio::test]
async fn the_command_prints_the_recipe_of_a_file_without_any_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let picture = image::RgbImage::new(8, 8);
    let plain = codec::picture::encode(&picture, codec::Format::Png).unwrap();
    let recipe = r#"{"input":{"seed":7},"version":1}"#;
    let telling = provenance::embed(&plain, codec::Format::Png, recipe).unwrap();
    let (path, silent) = (folder.path().join("a.png"), folder.path().join("b.png"));
    fs::write(&path, &telling).unwrap();
    fs::write(&silent, &plain).unwrap();
    let command = |file: &std::path::Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
        command
            .env_clear()
            .env("DATABASE_URL", "nonsense")
            .arg("recipe")
            .arg(file);
        command
    };

    let shown = run(command(&path)).await;
    assert!(shown.status.success(), "{shown:?}");
    assert_eq!(
        String::from_utf8_lossy(&shown.stdout),
        "{\n  \"input\": {\n    \"seed\": 7\n  },\n  \"version\": 1\n}\n"
    );

    let mut piped = command(std::path::Path::new("-"));
    let mut piped = piped
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    piped.stdin.take().unwrap().write_all(&telling).unwrap();
    assert_eq!(piped.wait_with_output().unwrap().stdout, shown.stdout);

    for (file, words) in [
        (silent, "does not tell how it was made"),
        (folder.path().join("c"), "cannot read"),
    ] {
        let refused = run(command(&file)).await;
        assert_eq!(refused.status.code(), Some(1));
        let complaint = String::from_utf8_lossy(&refused.stderr);
        assert!(
            complaint.contains(words) && complaint.contains(file.to_str().unwrap()),
            "{complaint}"
        );
    }
}

fn drawn() -> FeatureProperties {
    FeatureProperties {
        provider: "builtin".to_owned(),
        formats: ["png", "jpg", "webp"].map(str::to_owned).into(),
        omit_thumbnails: true,
        ..Default::default()
    }
}

fn described(name: &str, properties: FeatureProperties) -> CreateFeatureRequest {
    CreateFeatureRequest {
        name: name.to_owned(),
        category: MediaType::Image.into(),
        properties: Some(properties),
        ..Default::default()
    }
}

async fn feature(server: &TestServer, properties: FeatureProperties) -> i64 {
    server.add_feature(described("drawn", properties)).await.id
}

/// A small picture with a seed.
fn picture(feature: i64, formats: &[&str]) -> CreateRequestRequest {
    let output = OutputSettings {
        width: Some(96),
        height: Some(64),
        formats: formats.iter().map(|&format| format.to_owned()).collect(),
        ..Default::default()
    };
    CreateRequestRequest {
        input: Some(GenerationInput {
            negative_prompt: Some("rain".to_owned()),
            seed: Some(7),
            output: Some(output),
            ..Default::default()
        }),
        ..request_for(feature)
    }
}

/// The job of a request once it is completed, and its media.
async fn made(server: &TestServer, asked: CreateRequestRequest) -> (Ended, Vec<Media>) {
    let ended = server.made(asked).await;
    let media = ended.media();
    (ended, media)
}

async fn recipe_of(client: &Client, media: &Media) -> Option<Map<String, Value>> {
    provenance::read(&client.content_of(media).await)
}

async fn assert_facts_of_the_stored_file(client: &Client, media: &Media) {
    let content = client.content_of(media).await;
    let digest = Sha256::digest(&content);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        (digest, content.len() as i64),
        (media.sha256.clone(), media.file_size)
    );
}

fn digests(media: &[Media]) -> Vec<&str> {
    media.iter().map(|media| media.sha256.as_str()).collect()
}

/// Why a file has no recipe, as its metadata say.
fn not_embedded(media: &Media) -> Option<&str> {
    let said = media.metadata.as_ref()?.fields.get("recipe_not_embedded")?;
    match said.kind.as_ref()? {
        Kind::StringValue(why) => Some(why),
        other => panic!("{other:?}"),
    }
}
