//! `atelier catalogue`: a file becomes the catalogue, all of it or nothing, and the catalogue a file.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use atelier::entity::{feature, template};
use atelier::rpc::proto::{
    CreateFeatureRequest, CreateTemplateRequest, Feature, FeatureProperties, GenerationInput,
    ListFeaturesRequest, ListTemplatesRequest, LoraWeights, MediaType, OutputSettings, Template,
    TemplateData, TemplateVariable, TemplateVariableType, UndeleteFeatureRequest,
};
use futures::future::join_all;
use sea_orm::{ActiveValue::Set, EntityTrait};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::{Client, plain_template, request_for, scripted_feature};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::process::{atelier, run};
use crate::support::samples::choice;
use crate::support::server::TestServer;
use crate::support::structure::{structure, value};

const STARTER: &str = include_str!("../../../catalogue/starter.toml");

const SMALL: &str = r#"
[[features]]
name = "poster"
category = "image"
properties = { provider = "scripted", max_batch_size = 4 }

[[features.templates]]
name = "sale"
template_data = { prompt = "{{ user_prompt }}!" }

[[features.templates]]
name = "quote"
template_data = {}
"#;

/// The catalogue here is for a provider that its database's own configuration does not have.
const UNPROVIDED: &str = "warning   feature poster names the provider \"scripted\", which is not configured here: its jobs wait for a worker that has it";

on_both_databases! {
    async fn a_file_that_is_applied_again_changes_nothing(db: TestDatabase) {
        let folder = Folder::new(&db);
        let report = folder.apply(STARTER, &[]).await;
        let lines: Vec<&str> = report.lines().collect();
        let count = lines.len() - 1;
        assert!(count > 10 && lines[..count].iter().all(|line| line.starts_with("created ")), "{report}");
        assert_eq!(lines[count], format!("{count} created, 0 changed, 0 left as they were, 0 removed"));

        let before = rows(&db).await;
        let again = folder.apply(STARTER, &["--prune"]).await;
        assert!(again.ends_with(&format!("\n0 created, 0 changed, {count} left as they were, 0 removed\n")), "{again}");
        assert_eq!(rows(&db).await, before);
    }

    async fn a_time_finer_than_a_database_keeps_it_is_no_change(db: TestDatabase) {
        let folder = Folder::new(&db);
        let fine = SMALL.replace("name = \"sale\"", "name = \"sale\"\ntrend_start_date = 2026-01-01T00:00:00.123456789Z");
        folder.apply(&fine, &[]).await;
        let again = folder.apply(&fine, &[]).await;
        assert!(again.ends_with("\n0 created, 0 changed, 3 left as they were, 0 removed\n"), "{again}");
    }

    async fn an_exported_catalogue_is_what_it_was_read_from(db: TestDatabase) {
        let folder = Folder::new(&db);
        folder.apply(STARTER, &[]).await;
        let server = TestServer::start_api(&db).await;
        add_odd_rows(&server, &db).await;
        let exported = folder.export().await;
        let before = rows(&db).await;
        let report = folder.apply(&exported, &["--prune"]).await;
        assert!(report.contains("\n0 created, 0 changed, ") && report.ends_with(" 0 removed\n"), "{report}");
        assert_eq!(rows(&db).await, before);
        assert_eq!(folder.export().await, exported);

        let other = TestDatabase::create(Backend::Sqlite).await;
        let elsewhere = Folder::new(&other);
        elsewhere.apply(&exported, &[]).await;
        assert_eq!(elsewhere.export().await, exported);
        let copied = TestServer::start_api(&other).await;
        assert_eq!(contents(&copied).await, contents(&server).await);
    }

    async fn what_changes_is_named_and_the_rest_stays_as_it_is(db: TestDatabase) {
        let folder = Folder::new(&db);
        folder.apply(SMALL, &[]).await;
        let (features, templates) = rows(&db).await;
        let changed = SMALL
            .replace("max_batch_size = 4", "max_batch_size = 5, studio = [1]")
            .replace("name = \"sale\"", "name = \"sale\"\nis_active = false\ntags = [\"Tết\"]")
            .replace("{{ user_prompt }}!", "{{ user_prompt }}?");
        let report = folder.apply(&changed, &[]).await;
        assert_eq!(report.lines().collect::<Vec<_>>(), [
            "changed   feature poster (properties.max_batch_size, properties.studio)",
            "changed   template poster/sale (is_active, tags, template_data.prompt)",
            "unchanged template poster/quote",
            UNPROVIDED, "0 created, 2 changed, 1 left as they were, 0 removed",
        ]);
        let (features_after, templates_after) = rows(&db).await;
        assert_eq!((features_after[0].id, features_after[0].version), (features[0].id, 2));
        assert_eq!((templates_after[0].id, templates_after[0].version), (templates[0].id, 2));
        assert!(templates_after[0].updated_at > templates[0].updated_at && !templates_after[0].is_active);
        assert_eq!(templates_after[1], templates[1]);
    }

    async fn what_the_file_does_not_have_stays_unless_it_is_pruned(db: TestDatabase) {
        let folder = Folder::new(&db);
        let server = TestServer::start_api(&db).await;
        let old = server.add_feature(scripted_feature("old")).await;
        server.add_template(plain_template(old.id, "style")).await;
        folder.apply(SMALL, &[]).await;
        let poster = live_features(&server).await.into_iter().find(|feature| feature.name == "poster");
        server.add_template(plain_template(poster.unwrap().id, "extra")).await;

        let report = folder.apply(SMALL, &[]).await;
        assert_eq!(
            report.lines().last(),
            Some("0 created, 0 changed, 3 left as they were, 0 removed; 3 not in the file, kept without --prune")
        );
        let pruned = folder.apply(SMALL, &["--prune"]).await;
        assert_eq!(pruned.lines().collect::<Vec<_>>(), [
            "unchanged feature poster",
            "unchanged template poster/sale",
            "unchanged template poster/quote",
            "removed   template poster/extra",
            "removed   feature old",
            "removed   template old/style",
            UNPROVIDED, "0 created, 0 changed, 3 left as they were, 3 removed",
        ]);
        assert_eq!(names(&server).await, ["poster", "poster/quote", "poster/sale"]);
        // It is deleted as DeleteFeature deletes it.
        let back = UndeleteFeatureRequest { id: old.id };
        server.features().undelete_feature(back).await.unwrap();
        assert_eq!(names(&server).await, ["old", "old/style", "poster", "poster/quote", "poster/sale"]);
    }

    async fn a_file_that_several_apply_at_once_is_applied_once(db: TestDatabase) {
        let folder = Folder::new(&db);
        folder.apply("features = []", &[]).await;
        fs::write(folder.file(), STARTER).unwrap();
        let outputs = join_all((0..4).map(|_| folder.run_file(&["--prune", "--json"]))).await;
        let created = outputs.iter().filter(|output| {
            assert!(output.status.success(), "{output:?}");
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();
            let kinds: BTreeSet<_> = report["changes"].as_array().unwrap().iter().map(|change| change["kind"].to_string()).collect();
            assert_eq!(kinds.len(), 1, "{kinds:?}");
            kinds.contains("\"created\"")
        });
        assert_eq!(created.count(), 1);
    }

    async fn a_dry_run_says_the_same_and_writes_nothing(db: TestDatabase) {
        let folder = Folder::new(&db);
        folder.apply(STARTER, &[]).await;
        let before = rows(&db).await;
        let dry = folder.apply(SMALL, &["--dry-run", "--prune"]).await;
        assert_eq!(rows(&db).await, before);
        let wet = folder.apply(SMALL, &["--prune"]).await;
        let (lines, summary) = dry.trim_end().rsplit_once('\n').unwrap();
        let said = summary.strip_prefix("dry run, nothing is written: ").unwrap();
        assert_eq!(format!("{lines}\n{said}\n"), wet);
        assert_ne!(rows(&db).await, before);
    }

    async fn one_refusal_refuses_the_whole_file(db: TestDatabase) {
        let folder = Folder::new(&db);
        let server = TestServer::start_api(&db).await;
        let busy = server.scripted_feature().await;
        server.add_template(plain_template(busy, "style")).await;
        server.create(request_for(busy)).await;
        let before = rows(&db).await;
        let refused = folder.refuse(SMALL, &["--prune"]).await;
        assert!(refused.contains(&format!("feature {busy} has 1 pending and 0 processing jobs")), "{refused}");

        let other_category = format!("{SMALL}\n[[features]]\nname = \"scripted\"\ncategory = \"audio\"\n");
        let refused = folder.refuse(&other_category, &[]).await;
        assert!(refused.contains("\n  features[1].category: cannot change: the feature \"scripted\""), "{refused}");
        let wrong = format!("{SMALL}\n[[features]]\nname = \"Ế\"\ncategory = \"image\"\nicon = \"x\"\n");
        let refused = folder.refuse(&wrong, &[]).await;
        assert!(refused.contains("catalogue.toml has 2 problems:\n  features[1]."), "{refused}");
        assert_eq!(rows(&db).await, before);
    }

    async fn a_misspelt_key_within_a_table_of_known_ones_is_told(db: TestDatabase) {
        let folder = Folder::new(&db);
        let priced = r#"
            [[features]]
            name = "dear"
            category = "image"
            [features.properties]
            price = { bse = 3 }
            fallbacks = [{ provider = "builtin", modle = "a" }]
        "#;
        let refused = folder.refuse(&format!("{SMALL}{priced}"), &[]).await;
        assert!(refused.contains("catalogue.toml has 2 problems:\n"), "{refused}");
        for (key, misspelt) in [("price", "bse"), ("fallbacks", "modle")] {
            assert!(refused.contains(&format!("\n  features[1].properties.{key}: unknown field `{misspelt}`, expected ")), "{refused}");
        }
    }

    async fn what_a_provider_cannot_read_is_told_by_its_place_in_the_file(db: TestDatabase) {
        let folder = Folder::new(&db);
        let styled = r#"
            [[features]]
            name = "song"
            category = "audio"
            [[features.templates]]
            name = "loud"
            template_data.style = { tempo = 300 }
            [[features.templates]]
            name = "moody"
            template_data.variables = [{ name = "mood", type = "string", default = "hungry" }]
        "#;
        let refused = folder.refuse(&format!("{SMALL}{styled}"), &[]).await;
        assert!(refused.contains("catalogue.toml has 2 problems:\n"), "{refused}");
        for place in ["[0].template_data.style.tempo", "[1].template_data.variables[0].default"] {
            assert!(refused.contains(&format!("\n  features[1].templates{place}: must be ")), "{refused}");
        }
    }

    async fn a_program_reads_the_changes_as_json(db: TestDatabase) {
        let folder = Folder::new(&db);
        let report: Value = serde_json::from_str(&folder.apply(SMALL, &["--json"]).await).unwrap();
        let created = |template: Value| json!({
            "kind": "created", "feature": "poster", "template": template, "fields": [],
        });
        assert_eq!(report, json!({
            "dry_run": false,
            "changes": [created(json!(null)), created(json!("sale")), created(json!("quote"))],
            "left_out": [], "other_service": null, "unprovided": ["poster"],
        }));
    }

    async fn a_deleted_feature_is_not_brought_back_but_made_anew(db: TestDatabase) {
        let folder = Folder::new(&db);
        folder.apply(SMALL, &[]).await;
        folder.apply("features = []", &["--prune"]).await;
        assert_eq!(folder.export().await, "features = []\n");
        let report = folder.apply(SMALL, &[]).await;
        assert!(report.starts_with("created   feature poster\n"), "{report}");
        let (features, templates) = rows(&db).await;
        assert_eq!((features.len(), templates.len()), (2, 4));
    }

    async fn what_cannot_be_read_as_a_catalogue_is_not_exported(db: TestDatabase) {
        let folder = Folder::new(&db);
        folder.apply(SMALL, &[]).await;
        let odd = rows(&db).await.1.remove(0).id;
        let broken = template::ActiveModel {
            id: Set(odd),
            template_data: Set(json!({ "prompt": 3 })),
            ..Default::default()
        };
        template::Entity::update(broken).exec(&db.connect().await).await.unwrap();
        let output = run(atelier(&db, &[&["catalogue", "export"], &folder.settings()[..]].concat())).await;
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && complaint.contains(&format!("template_data of template {odd}")), "{complaint}");
        // The file that wrote it mends it.
        let report = folder.apply(SMALL, &[]).await;
        assert!(report.contains("changed   template poster/sale (template_data.prompt)"), "{report}");
    }
}

/// A place for files, and the commands that work with them on a database.
struct Folder<'a> {
    db: &'a TestDatabase,
    folder: TempDir,
    media: String,
}

impl<'a> Folder<'a> {
    fn new(db: &'a TestDatabase) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let media = format!("storage.folder={}", folder.path().join("media").display());
        Self { db, folder, media }
    }

    /// There is no other service here that would make the table of users.
    fn settings(&self) -> [&str; 4] {
        let users = "identity.provision_users=true";
        ["--set", &self.media, "--set", users]
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("catalogue.toml")
    }

    async fn run_apply(&self, toml: &str, flags: &[&str]) -> std::process::Output {
        fs::write(self.file(), toml).unwrap();
        self.run_file(flags).await
    }

    /// Applies the file that is there.
    async fn run_file(&self, flags: &[&str]) -> std::process::Output {
        let file = self.file().display().to_string();
        let command = ["catalogue", "apply", &file];
        let arguments = [&command[..], flags, &self.settings()[..]].concat();
        run(atelier(self.db, &arguments)).await
    }

    /// Applies a file that must be accepted; returns what is said of it.
    async fn apply(&self, toml: &str, flags: &[&str]) -> String {
        let output = self.run_apply(toml, flags).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Applies a file that must be refused; returns the complaint.
    async fn refuse(&self, toml: &str, flags: &[&str]) -> String {
        let output = self.run_apply(toml, flags).await;
        assert_eq!(
            (output.status.code(), output.stdout.len()),
            (Some(1), 0),
            "{output:?}"
        );
        String::from_utf8(output.stderr).unwrap()
    }

    /// The file of a command that must succeed.
    async fn export(&self) -> String {
        let file = self.file().display().to_string();
        let command = ["catalogue", "export", &file];
        let output = run(atelier(
            self.db,
            &[&command[..], &self.settings()[..]].concat(),
        ))
        .await;
        assert!(output.status.success(), "{output:?}");
        fs::read_to_string(self.file()).unwrap()
    }
}

/// All rows, deleted or not, in order of id.
async fn rows(db: &TestDatabase) -> (Vec<feature::Model>, Vec<template::Model>) {
    let connection = db.connect().await;
    let mut features = feature::Entity::find().all(&connection).await.unwrap();
    let mut templates = template::Entity::find().all(&connection).await.unwrap();
    features.sort_by_key(|feature| feature.id);
    templates.sort_by_key(|template| template.id);
    (features, templates)
}

async fn live_features(client: &Client) -> Vec<Feature> {
    let listed = client
        .features()
        .list_features(ListFeaturesRequest::default())
        .await;
    listed.unwrap().into_inner().features
}

async fn live_templates(client: &Client) -> Vec<Template> {
    let listed = client
        .templates()
        .list_templates(ListTemplatesRequest::default())
        .await;
    listed.unwrap().into_inner().templates
}

/// Every live feature and every template after its feature's name, sorted.
async fn names(client: &Client) -> Vec<String> {
    let features = live_features(client).await;
    let of = |template: Template| {
        let feature = features
            .iter()
            .find(|feature| feature.id == template.feature_id);
        format!("{}/{}", feature.unwrap().name, template.name)
    };
    let mut names: Vec<_> = live_templates(client).await.into_iter().map(of).collect();
    names.extend(features.iter().map(|feature| feature.name.clone()));
    names.sort();
    names
}

/// Everything that a client sees of the catalogue, without identifiers, times and versions.
async fn contents(client: &Client) -> Vec<(Feature, Vec<Template>)> {
    let templates = live_templates(client).await;
    let features = live_features(client).await.into_iter();
    features
        .map(|feature| {
            let own = templates
                .iter()
                .filter(|template| template.feature_id == feature.id);
            let own = own.map(|template| Template {
                id: 0,
                feature_id: 0,
                create_time: None,
                update_time: None,
                etag: String::new(),
                ..template.clone()
            });
            let own = own.collect();
            let feature = Feature {
                id: 0,
                create_time: None,
                update_time: None,
                etag: String::new(),
                ..feature
            };
            (feature, own)
        })
        .collect()
}

/// Values that are easily lost on the way through a file.
async fn add_odd_rows(server: &TestServer, db: &TestDatabase) {
    let odd = CreateFeatureRequest {
        name: "odd".to_owned(),
        description: "Ế \"quoted\" 'single' \\ back\nline\r\n\ttab \u{1f3a8}\"\"\"'''".to_owned(),
        category: MediaType::Image.into(),
        properties: Some(FeatureProperties {
            // The built-in provider would not take the template's style.
            provider: "scripted".to_owned(),
            formats: vec!["webp".to_owned(), "jpg".to_owned()],
            allow_empty_prompt: true,
            extra: Some(structure(&json!({
                "studio": { "lights": [1, null, { "$null": true }, []], "a.b": {}, "": 0.1 },
                "huge": 1e300, "tiny": 5e-324, "whole": 1e15, "minus": -0.0,
            }))),
            ..Default::default()
        }),
        is_active: Some(false),
        order_index: -3,
        ..Default::default()
    };
    let feature = server.add_feature(odd).await;
    server.add_template(odd_template(feature.id)).await;
    server
        .add_template(plain_template(feature.id, "bare"))
        .await;
    // As another program may have left them.
    let bare = CreateFeatureRequest {
        properties: None,
        ..scripted_feature("bare")
    };
    let bare = feature::ActiveModel {
        id: Set(server.add_feature(bare).await.id),
        properties: Set(None),
        description: Set(Some(String::new())),
        ..Default::default()
    };
    feature::Entity::update(bare)
        .exec(&db.connect().await)
        .await
        .unwrap();
}

fn odd_template(feature_id: i64) -> CreateTemplateRequest {
    let variable = |name: &str, kind: TemplateVariableType, default: Value| TemplateVariable {
        name: name.to_owned(),
        r#type: kind.into(),
        label: format!("Nhãn \"{name}\""),
        description: "Một dòng\nhai dòng".to_owned(),
        placeholder: "'x'".to_owned(),
        default_value: Some(value(&default)),
        ..Default::default()
    };
    CreateTemplateRequest {
        template_data: Some(TemplateData {
            prompt:
                "{{ user_prompt }}\n\n  {% if b %}\"{{ s }}\"{% endif %}\n{{ i }} {{ n }} {{ e }}\n"
                    .to_owned(),
            negative_prompt: "mờ, 'nhoè'".to_owned(),
            variables: vec![
                variable("s", TemplateVariableType::String, json!("a\nb")),
                TemplateVariable {
                    min: Some(-5.0),
                    max: Some(1e9),
                    ..variable("i", TemplateVariableType::Integer, json!(-3))
                },
                TemplateVariable {
                    min: Some(0.1),
                    ..variable("n", TemplateVariableType::Number, json!(2.5))
                },
                variable("b", TemplateVariableType::Boolean, json!(false)),
                TemplateVariable {
                    choices: vec![choice("Huế"), choice("Hà \"Nội\"")],
                    is_required: true,
                    ..variable("e", TemplateVariableType::Enum, json!("Huế"))
                },
            ],
            defaults: Some(GenerationInput {
                seed: Some(4_294_967_295),
                cfg_scale: Some(7.1),
                lora_weights: Some(LoraWeights {
                    weights: [("style/a.b".to_owned(), -0.3)].into(),
                }),
                variations: 2,
                output: Some(OutputSettings {
                    aspect_ratio: Some("16:9".to_owned()),
                    ..Default::default()
                }),
                extra: Some(structure(&json!({ "studio": [1, null] }))),
                ..Default::default()
            }),
            style: Some(structure(
                &json!({ "palette": null, "layout": { "columns": [1.5, "a"] } }),
            )),
            extra: Some(structure(&json!({ "house": { "kept": true } }))),
        }),
        preview_url: "https://a.vn/p.png?x='y'".to_owned(),
        tags: vec!["Tết".to_owned(), "a \"quoted\", {tag}\\".to_owned()],
        is_active: Some(false),
        order_index: 5,
        trend_start_time: Some(prost_types::Timestamp {
            seconds: 1_800_000_000,
            nanos: 123_456_000,
        }),
        trend_end_time: Some(prost_types::Timestamp {
            seconds: 32_503_680_000,
            nanos: 0,
        }),
        ..plain_template(feature_id, "odd")
    }
}
