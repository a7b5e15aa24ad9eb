//! The kind `comfyui`: whole workflows in both dialects, and that a job is run once whatever breaks.

use std::time::Duration;

use atelier::config::ProviderConfig;
use atelier::domain::AddressRules;
use atelier::provider::comfyui::ComfyUi;
use atelier::provider::{Place, Preset, Provider};
use atelier::rpc::proto::{
    CancelJobRequest, CreateFeatureRequest, CreateRequestRequest, CreateTemplateRequest,
    FeatureProperties, GenerationInput, Job, JobStatus, LoraWeights, Media, MediaRole, MediaType,
    OutputSettings, ProviderFallback, TemplateData, TemplateVariable, TemplateVariableType,
    WatchJobEvent,
};
use atelier::stand_in::{Call, Fault, Protocol, StandIn, Step};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::support::client::{plain_template, request_for, scripted_feature};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::link_host::LinkHost;
use crate::support::provider::{answer, elsewhere, fetcher, labelled, on, provider, stand_in};
use crate::support::refusal::refusal;
use crate::support::server::{TestServer, within};
use crate::support::structure::{structure, value};

const WORKFLOWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/comfyui");
const BINDINGS: &str = r#"{ prompt = "6.inputs.text", seed = "3.inputs.seed", "settings.steps" = "3.inputs.steps",
    "settings.checkpoint" = "4.inputs.ckpt_name" }"#;

/// So many steps that no run ends by itself while a test looks at it.
const ENDLESS: u32 = 10_000;

/// What is spoken, and by whom.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spoken {
    Native,
    Old,
    V2,
}

const ALL: [Spoken; 3] = [Spoken::Native, Spoken::Old, Spoken::V2];

struct Service {
    spoken: Spoken,
    stand_in: StandIn,
}

impl Service {
    async fn start(spoken: Spoken, faults: Vec<Fault>) -> Self {
        let protocol = match spoken {
            Spoken::Old => Protocol::ComfyUiOld,
            Spoken::Native | Spoken::V2 => Protocol::ComfyUi,
        };
        let listen = "127.0.0.1:0".parse().unwrap();
        let stand_in = StandIn::start(protocol, listen, faults).await.unwrap();
        Self { spoken, stand_in }
    }

    fn config(&self, more: &[&str]) -> ProviderConfig {
        let url = format!("base_url={}", self.stand_in.url());
        let folder = format!("workflows={WORKFLOWS}");
        let dialect = if self.spoken == Spoken::V2 {
            "dialect=v2"
        } else {
            "dialect=native"
        };
        let bindings = format!("bindings={BINDINGS}");
        let common = [
            "kind=comfyui",
            &url,
            &folder,
            dialect,
            &bindings,
            "workflow=text-to-image.json",
            r#"makes=["image", "video", "audio"]"#,
            "poll_interval=100ms",
            "timeout=2s",
            "api_key=key-of-nobody",
            "api_key_header=x-api-key",
        ];
        provider(&[&common, more].concat())
    }

    async fn server(&self, db: &TestDatabase, more: &[&str]) -> TestServer {
        let service = self.config(more);
        TestServer::start_with(db, |config| {
            config.providers.insert("service".to_owned(), service);
            config.fetch.allow = vec!["127.0.0.1/32".parse().unwrap()];
        })
        .await
    }

    fn calls(&self, method: &str, path: &str) -> Vec<Call> {
        let calls = self.stand_in.calls().into_iter();
        let named = |call: &Call| call.method == method && call.path.starts_with(path);
        calls.filter(named).collect()
    }

    fn submissions(&self) -> Vec<Call> {
        match self.spoken {
            Spoken::V2 => self
                .calls("POST", "/api/v2/jobs")
                .into_iter()
                .filter(|it| it.path == "/api/v2/jobs")
                .collect(),
            Spoken::Native | Spoken::Old => self.calls("POST", "/prompt"),
        }
    }

    fn cancellations(&self) -> usize {
        let calls = self.stand_in.calls().into_iter();
        calls.filter(|call| call.path.ends_with("/cancel")).count()
    }

    /// The nodes of each submission.
    fn workflows(&self) -> Vec<Value> {
        let part = if self.spoken == Spoken::V2 {
            "workflow"
        } else {
            "prompt"
        };
        self.submissions()
            .iter()
            .map(|call| call.body[part].clone())
            .collect()
    }

    async fn told(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.stand_in.url());
        let answer = browser().get(url).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    async fn post(&self, path: &str) {
        let url = format!("{}{path}", self.stand_in.url());
        let request = browser()
            .post(url)
            .header("content-type", "application/json");
        assert!(
            request
                .body("{}")
                .send()
                .await
                .unwrap()
                .status()
                .is_success()
        );
    }

    async fn until(&self, is_so: impl Fn(&Value) -> bool) {
        within(async {
            while !is_so(&self.told("/queue").await) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}

fn feature(category: MediaType, settings: Value) -> CreateFeatureRequest {
    CreateFeatureRequest {
        category: category.into(),
        system_prompt: "Draw in ink.".to_owned(),
        properties: Some(FeatureProperties {
            provider: "service".to_owned(),
            settings: Some(structure(&settings)),
            ..Default::default()
        }),
        ..scripted_feature(&Uuid::new_v4().to_string())
    }
}

async fn asked(server: &TestServer, category: MediaType, settings: Value) -> Job {
    let feature = server.add_feature(feature(category, settings)).await;
    server.create(request_for(feature.id)).await.1.remove(0)
}

/// Until the server has heard what there is at ComfyUI.
async fn until_told(server: &TestServer) {
    let mut probe = feature(
        MediaType::Image,
        json!({ "checkpoint": "of-nobody.safetensors" }),
    );
    probe.validate_only = true;
    within(async {
        while server
            .features()
            .create_feature(probe.clone())
            .await
            .is_ok()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// A message of the job's progress beyond this fraction.
async fn progressed(server: &TestServer, id: i64, beyond: f64) -> Job {
    let mut watch = server.watch(id).await;
    loop {
        let message = watch.next().await.unwrap().expect("the job runs");
        let event = message.event();
        let job = message.job.unwrap_or_default();
        if event == WatchJobEvent::Progress && job.progress > beyond {
            return job;
        }
    }
}

async fn original(server: &TestServer, id: i64) -> Media {
    let media = server.media_of(id).await.into_iter();
    media
        .into_iter()
        .find(|media| media.role() == MediaRole::Original)
        .unwrap()
}

on_both_databases! {
    async fn a_picture_grows_in_the_sight_of_its_watchers(db: TestDatabase) {
        for spoken in ALL {
            let service = Service::start(spoken, Vec::new()).await;
            let server = service.server(&db, &[]).await;
            let settings = json!({ "steps": ENDLESS, "bindings": { "width": "5.inputs.width", "height": "5.inputs.height" } });
            let named = feature(MediaType::Image, settings);
            let feature = server.add_feature(named).await;
            let input = GenerationInput { seed: Some(7), ..Default::default() };
            let asked = CreateRequestRequest { input: Some(input), ..request_for(feature.id) };
            let job = server.create(asked).await.1.remove(0);
            let mut watch = server.watch(job.id).await;
            let seen = loop {
                let seen = watch.next().await.unwrap().expect("a preview comes first").job.unwrap_or_default();
                if !seen.progress_preview.is_empty() {
                    break seen;
                }
            };
            assert!(seen.progress > 0.3 && seen.progress < 0.9, "{spoken:?}: {seen:?}");
            service.post("/stand-in/finish").await;
            let ended = server.completed(job.id).await;
            let original = original(&server, ended.job.id).await;
            assert_eq!((original.width, original.height), (1080, 1080), "{spoken:?}");

            let submissions = service.submissions();
            assert_eq!(submissions.len(), 1, "{spoken:?}");
            let nodes = &service.workflows()[0];
            assert_eq!(nodes["6"]["inputs"]["text"], json!("Draw in ink.\n\nXin chào"));
            assert_eq!((&nodes["3"]["inputs"]["seed"], &nodes["3"]["inputs"]["steps"]), (&json!(7), &json!(ENDLESS)));
            assert_eq!(nodes["7"]["inputs"]["text"], json!("text, watermark"), "nobody says otherwise");
            let key = match spoken {
                Spoken::V2 => submissions[0].header("idempotency-key").unwrap().to_owned(),
                _ => submissions[0].body["prompt_id"].as_str().unwrap().to_owned(),
            };
            assert_eq!(nodes["9"]["inputs"]["filename_prefix"], json!(format!("atelier-{key}")));
            let mut calls = service.stand_in.calls();
            calls.retain(|call| !call.path.starts_with("/stand-in/"));
            assert!(calls.iter().all(|call| call.header("x-api-key") == Some("key-of-nobody")), "{calls:?}");
            server.stop().await;
        }
    }

    async fn videos_and_sound_are_made_as_well(db: TestDatabase) {
        for spoken in [Spoken::Native, Spoken::V2] {
            let service = Service::start(spoken, Vec::new()).await;
            let server = service.server(&db, &[]).await;
            for (category, workflow, format) in [
                (MediaType::Video, "text-to-video.json", "mp4"),
                (MediaType::Audio, "text-to-audio.json", "flac"),
            ] {
                let settings = json!({ "workflow": workflow, "bindings": { "prompt": "6.inputs.text" } });
                let named = feature(category, settings);
                let feature = server.add_feature(named).await;
                let ended = server.made(request_for(feature.id)).await;
                assert_eq!(original(&server, ended.job.id).await.format, format, "{spoken:?}");
            }
            server.stop().await;
        }
    }

    async fn a_video_is_as_long_and_as_large_as_its_workflow_says_and_its_workflow_as_the_request_says(db: TestDatabase) {
        let starters: toml::Table = include_str!("../../../catalogue/starters.toml").parse().unwrap();
        let properties = serde_json::to_value(&starters["comfyui"]["video"]["properties"]).unwrap();
        for spoken in [Spoken::Native, Spoken::V2] {
            let service = Service::start(spoken, Vec::new()).await;
            let server = service.server(&db, &[]).await;
            let mut named = feature(MediaType::Video, properties["settings"].clone());
            let own = named.properties.get_or_insert_default();
            own.frame_rate = i32::try_from(properties["frame_rate"].as_i64().unwrap()).unwrap();
            let feature = server.add_feature(named).await.id;
            // A latent has no place for less than eight pixels, nor for less than four frames.
            for (seconds, size, frames, made) in [
                (Some(1), (128, 72), 17, (128, 72)),
                (Some(3), (150, 90), 49, (144, 88)),
                (None, (128, 128), 33, (128, 128)),
            ] {
                let output = OutputSettings {
                    duration_seconds: seconds, width: Some(size.0), height: Some(size.1), ..Default::default()
                };
                let input = GenerationInput { output: Some(output), ..Default::default() };
                let ended = server.made(CreateRequestRequest { input: Some(input), ..request_for(feature) }).await;
                let told = ended.job.output_metadata.clone().unwrap_or_default();
                assert!(!told.fields.contains_key("ignored_inputs"), "{told:?}");
                let nodes = service.workflows().pop().unwrap();
                assert_eq!(nodes["5"]["inputs"]["length"], json!(frames), "{spoken:?}");
                let video = original(&server, ended.job.id).await;
                assert_eq!((video.width, video.height), made, "{spoken:?}");
                assert_eq!(video.frame_rate, 16.0, "{spoken:?}");
                let length = f64::from(frames) / 16.0 * 1_000.0;
                assert!((video.duration_ms() as f64 - length).abs() <= 1.0, "{spoken:?}: {video:?}");
            }
            server.stop().await;
        }
    }

    async fn a_video_that_is_too_large_for_the_server_s_memory_fails_with_that_reason(db: TestDatabase) {
        let service = Service::start(Spoken::Native, Vec::new()).await;
        let server = service.server(&db, &[]).await;
        let settings = json!({
            "workflow": "text-to-video.json", "length": 10_001,
            "bindings": { "prompt": "6.inputs.text", "settings.length": "5.inputs.length" },
        });
        let feature = server.add_feature(feature(MediaType::Video, settings)).await.id;
        let job = server.create(request_for(feature)).await.1.remove(0);
        assert_eq!(server.ended(job.id).await.code(), "PROVIDER_LIMIT_EXCEEDED");
    }

    async fn a_picture_of_the_request_gets_into_the_workflow_or_is_refused(db: TestDatabase) {
        let host = LinkHost::start().await;
        for spoken in [Spoken::Native, Spoken::V2] {
            let service = Service::start(spoken, Vec::new()).await;
            let server = service.server(&db, &[]).await;
            let feature = server.add_feature(feature(MediaType::Image, json!({}))).await;
            let style = json!({
                "workflow": "image-to-image.json",
                "bindings": { "prompt": "6.inputs.text", "pictures.0": "10.inputs.image" },
            });
            let mut template = plain_template(feature.id, "redrawn");
            template.template_data.get_or_insert_default().style = Some(structure(&style));
            let template = server.add_template(template).await.id;
            let asked = |template_id, pictures: usize| CreateRequestRequest {
                user_media_urls: vec![host.link("picture").to_string(); pictures], template_id, ..request_for(feature.id)
            };
            for (template, pictures, field) in [(None, 1, "user_media_urls[0]"), (Some(template), 2, "user_media_urls[1]")] {
                let refused = refusal(server.requests().create_request(asked(template, pictures)).await);
                refused.of_fields([field]);
                refused.says(field, "must be left out: the workflow has no place for it");
            }
            server.made(asked(Some(template), 1)).await;
            assert_eq!(service.submissions().len(), 1, "{spoken:?}");
            let image = &service.workflows()[0]["10"]["inputs"]["image"];
            let name = if spoken == Spoken::V2 { &image["info"]["id"] } else { image };
            assert!(name.as_str().unwrap().starts_with("atelier-"), "{spoken:?}: {image}");
            server.stop().await;
        }
    }

    async fn what_no_place_takes_is_told_or_refused_by_the_workflow_that_will_run(db: TestDatabase) {
        let service = Service::start(Spoken::Native, Vec::new()).await;
        let server = service.server(&db, &[]).await;
        let settings = json!({ "bindings": { "cfg_scale": "3.inputs.cfg", "lora_weights.ink": "3.inputs.denoise" } });
        let mut strict = feature(MediaType::Image, settings);
        let feature = server.add_feature(strict.clone()).await.id;
        strict.name = "strict".to_owned();
        strict.properties.get_or_insert_default().refuse_ignored_inputs = true;
        let strict = server.add_feature(strict).await.id;
        let asked = |feature, lora: &str| {
            let input = GenerationInput {
                seed: Some(7),
                cfg_scale: Some(2.0),
                negative_prompt: Some("rain".to_owned()),
                lora_weights: Some(LoraWeights { weights: [(lora.to_owned(), 0.5)].into() }),
                ..Default::default()
            };
            CreateRequestRequest { input: Some(input), ..request_for(feature) }
        };
        let ended = server.made(asked(feature, "ink")).await;
        let told = &ended.job.output_metadata.unwrap().fields["ignored_inputs"];
        assert_eq!(*told, value(&json!(["input.negative_prompt"])));
        refusal(server.requests().create_request(asked(strict, "ink")).await).of_fields(["input.negative_prompt"]);
        let field = "input.lora_weights.weights.oil";
        let refused = refusal(server.requests().create_request(asked(feature, "oil")).await);
        refused.of_fields([field]);
        refused.says(field, "must name LoRAs of the workflow (ink), not oil");

        // A style over the feature's settings is checked as they are together.
        let mut template = plain_template(feature, "styled");
        template.template_data.get_or_insert_default().style = Some(structure(&json!({ "steps": 3, "strength": 1 })));
        let refused = refusal(server.templates().create_template(template).await);
        refused.of_fields(["template_data.style.strength"]);
    }

    async fn a_request_for_which_nobody_names_a_workflow_is_refused(db: TestDatabase) {
        let service = Service::start(Spoken::Native, Vec::new()).await;
        let ProviderConfig::ComfyUi(mut without) = service.config(&[]) else { panic!() };
        (without.workflow, without.bindings) = (None, Default::default());
        let server = TestServer::start_with(&db, |config| {
            config.providers.insert("service".to_owned(), ProviderConfig::ComfyUi(without));
        }).await;
        let feature = server.add_feature(feature(MediaType::Image, json!({}))).await.id;
        let refused = refusal(server.requests().create_request(request_for(feature)).await);
        refused.of_fields(["feature_id"]);
        refused.says("feature_id", "must be a feature with a workflow in its settings, or in its template's style");
        assert_eq!(service.submissions().len(), 0);
    }

    async fn a_variable_that_its_place_cannot_hold_is_refused_with_its_field(db: TestDatabase) {
        let service = Service::start(Spoken::Native, Vec::new()).await;
        let server = service.server(&db, &[]).await;
        let bindings = json!({ "bindings": { "variables.strength": "3.inputs.denoise" } });
        let feature = server.add_feature(feature(MediaType::Image, bindings)).await.id;
        let mut template = plain_template(feature, "strong");
        let data = template.template_data.get_or_insert_default();
        let kind = TemplateVariableType::String.into();
        data.variables = vec![TemplateVariable { name: "strength".to_owned(), r#type: kind, ..Default::default() }];
        let template = Some(server.add_template(template).await.id);
        let asked = |strength: &str| {
            let variables = [("strength".to_owned(), value(&json!(strength)))].into();
            let input = Some(GenerationInput { variables, ..Default::default() });
            CreateRequestRequest { input, template_id: template, ..request_for(feature) }
        };
        let field = "input.variables.strength";
        let refused = refusal(server.requests().create_request(asked("much")).await);
        refused.of_fields([field]);
        refused.says(field, "must be a number");
        server.made(asked("0.5")).await;
        assert_eq!(service.workflows()[0]["3"]["inputs"]["denoise"], json!(0.5));
    }

    async fn a_key_without_effect_and_a_value_that_the_server_does_not_have_are_refused_where_they_are_written(db: TestDatabase) {
        let service = Service::start(Spoken::Native, Vec::new()).await;
        let server = service.server(&db, &[]).await;
        until_told(&server).await;
        let none = "one of what the server has (v1-5-pruned-emaonly.safetensors, too-large.safetensors, broken.safetensors)";
        let unlisted = format!("must be {none}, not \"other\"");
        let named = server.add_feature(feature(MediaType::Image, json!({}))).await.id;
        for (key, set, words) in [
            ("stepz", json!(4), "must be left out, or bound as settings.stepz"),
            ("steps", json!("abc"), "must be a number"),
            ("checkpoint", json!("other"), &unlisted[..]),
        ] {
            let set = json!({ key: set });
            let refused = refusal(server.features().create_feature(feature(MediaType::Image, set.clone())).await);
            let field = format!("properties.settings.{key}");
            refused.of_fields([&field[..]]);
            refused.says(&field, words);
            let mut wrong = plain_template(named, "look");
            wrong.template_data.get_or_insert_default().style = Some(structure(&set));
            let refused = refusal(server.templates().create_template(wrong).await);
            let field = format!("template_data.style.{key}");
            refused.of_fields([&field[..]]);
            refused.says(&field, words);
        }

        let mut chosen = feature(MediaType::Image, json!({ "bindings": { "model": "4.inputs.ckpt_name" } }));
        chosen.properties.get_or_insert_default().model = "other".to_owned();
        let refused = refusal(server.features().create_feature(chosen.clone()).await);
        refused.of_fields(["properties.model"]);
        refused.says("properties.model", &unlisted);
        chosen.properties.get_or_insert_default().model = "v1-5-pruned-emaonly.safetensors".to_owned();
        server.add_feature(chosen).await;

        let bindings = json!({ "bindings": { "variables.sampler": "3.inputs.sampler_name" } });
        let feature = server.add_feature(feature(MediaType::Image, bindings)).await.id;
        let mut template = plain_template(feature, "sampled");
        let kind = TemplateVariableType::String.into();
        template.template_data.get_or_insert_default().variables =
            vec![TemplateVariable { name: "sampler".to_owned(), r#type: kind, ..Default::default() }];
        let template_id = Some(server.add_template(template).await.id);
        let asked = |sampler: &str| {
            let variables = [("sampler".to_owned(), value(&json!(sampler)))].into();
            let input = Some(GenerationInput { variables, ..Default::default() });
            CreateRequestRequest { input, template_id, ..request_for(feature) }
        };
        refusal(server.requests().create_request(asked("slow")).await).of_fields(["input.variables.sampler"]);
        server.made(asked("ddim")).await;
        assert_eq!(service.submissions().len(), 1);
    }

    async fn a_picture_that_falls_back_to_a_workflow_without_a_place_fails_the_job_before_anything_is_sent(db: TestDatabase) {
        let service = Service::start(Spoken::Native, Vec::new()).await;
        let own = service.config(&[]);
        let server = TestServer::start_with(&db, |config| {
            let away = ["kind=openai", "base_url=http://127.0.0.1:9", r#"makes=["image"]"#];
            config.providers.insert("away".to_owned(), provider(&away));
            config.providers.insert("service".to_owned(), own);
            config.fetch.allow = vec!["127.0.0.1/32".parse().unwrap()];
        }).await;
        let mut feature = feature(MediaType::Image, json!({}));
        let properties = feature.properties.get_or_insert_default();
        properties.provider = "away".to_owned();
        properties.fallbacks = vec![ProviderFallback { provider: "service".to_owned(), ..Default::default() }];
        let feature = server.add_feature(feature).await;
        let host = LinkHost::start().await;
        let asked = CreateRequestRequest {
            user_media_urls: vec![host.link("picture").to_string()], ..request_for(feature.id)
        };
        let ended = server.ended(server.create(asked).await.1[0].id).await;
        assert_eq!(ended.code(), "PROVIDER_REJECTED_INPUT", "{:?}", ended.job.error);
        let told = ended.job.error.unwrap_or_default().message;
        assert_eq!(told, "The workflow has no place for user_media_urls[0].");
        assert_eq!(service.submissions().len(), 0);
    }

    async fn like_requests_get_files_of_their_own(db: TestDatabase) {
        let service = Service::start(Spoken::Native, Vec::new()).await;
        let server = service.server(&db, &[]).await;
        let feature = server.add_feature(feature(MediaType::Image, json!({}))).await;
        for _ in 0..2 {
            let input = GenerationInput { seed: Some(7), ..Default::default() };
            server.made(CreateRequestRequest { input: Some(input), ..request_for(feature.id) }).await;
        }
        let viewed: Vec<_> = service.calls("GET", "/view").into_iter().map(|call| call.path).collect();
        assert_eq!(viewed.len(), 2);
        assert_ne!(viewed[0], viewed[1]);
    }

    async fn a_job_goes_on_after_a_restart_of_atelier(db: TestDatabase) {
        for spoken in ALL {
            let service = Service::start(spoken, Vec::new()).await;
            let server = service.server(&db, &[]).await;
            let settings = json!({ "steps": ENDLESS });
            let named = feature(MediaType::Image, settings);
            let feature = server.add_feature(named).await;
            let job = server.create(request_for(feature.id)).await.1.remove(0);
            let before = progressed(&server, job.id, 0.4).await;
            server.stop().await;
            let server = service.server(&db, &[]).await;
            progressed(&server, job.id, before.progress + 0.005).await;
            service.post("/stand-in/finish").await;
            server.completed(job.id).await;
            assert_eq!(service.submissions().len(), 1, "{spoken:?}");
            assert!(service.stand_in.calls().iter().all(|call| !call.path.ends_with("/cancel")), "{spoken:?}");
            server.stop().await;
        }
    }

    async fn a_job_that_the_server_lost_is_told_or_repeated_as_configured(db: TestDatabase) {
        for spoken in ALL {
            for (repeatable, code, submissions) in [("false", "PROVIDER_OUTCOME_UNKNOWN", 1), ("true", "", 2)] {
                let service = Service::start(spoken, Vec::new()).await;
                let server = service.server(&db, &[&format!("repeatable={repeatable}")]).await;
                let settings = json!({ "steps": ENDLESS });
                let named = feature(MediaType::Image, settings);
                let feature = server.add_feature(named).await;
                let job = server.create(request_for(feature.id)).await.1.remove(0);
                progressed(&server, job.id, 0.4).await;
                service.post("/stand-in/restart").await;
                service.post("/stand-in/finish").await;
                let ended = server.ended(job.id).await;
                assert_eq!(ended.code(), code, "{spoken:?} {repeatable}: {:?}", ended.job.error);
                assert_eq!(service.submissions().len(), submissions, "{spoken:?} {repeatable}");
                server.stop().await;
            }
        }
    }

    async fn a_lost_socket_is_opened_again_and_the_job_goes_on(db: TestDatabase) {
        let service = Service::start(Spoken::Native, Vec::new()).await;
        let server = service.server(&db, &[]).await;
        let job = asked(&server, MediaType::Image, json!({ "steps": ENDLESS })).await;
        let before = progressed(&server, job.id, 0.4).await;
        service.post("/stand-in/drop-sockets").await;
        progressed(&server, job.id, before.progress + 0.005).await;
        service.post("/stand-in/finish").await;
        server.completed(job.id).await;
        assert!(service.calls("GET", "/ws").len() >= 2);
        assert_eq!(service.submissions().len(), 1);
    }

    async fn what_is_cancelled_stops_at_the_server_running_or_waiting(db: TestDatabase) {
        for spoken in ALL {
            let service = Service::start(spoken, Vec::new()).await;
            let server = service.server(&db, &[]).await;
            let named = feature(MediaType::Image, json!({ "steps": ENDLESS }));
            let feature = server.add_feature(named).await;
            let running = server.create(request_for(feature.id)).await.1.remove(0);
            progressed(&server, running.id, 0.0).await;
            let waiting = server.create(request_for(feature.id)).await.1.remove(0);
            service.until(|queue| queue["queue_pending"].as_array().unwrap().len() == 1).await;
            for id in [waiting.id, running.id] {
                let cancel = CancelJobRequest { id, stop_processing: true };
                within(server.jobs().cancel_job(cancel)).await.unwrap();
                assert_eq!(server.ended(id).await.job.status(), JobStatus::Cancelled, "{spoken:?}");
                let list = if id == waiting.id { "queue_pending" } else { "queue_running" };
                service.until(|queue| queue[list] == json!([])).await;
            }
            assert_eq!(service.submissions().len(), 2, "{spoken:?}");
            assert_eq!(service.calls("POST", "/interrupt").len(), usize::from(spoken == Spoken::Old));
            server.stop().await;
        }
    }

    async fn each_way_to_fail_has_its_reason_and_its_number_of_submissions(db: TestDatabase) {
        use Spoken::{Native, Old, V2};
        let none = json!({});
        let taken = r#"{"error":{"code":"idempotency_key_reuse","message":"used"}}"#;
        let broken = json!({ "checkpoint": "broken.safetensors" });
        let large = json!({ "checkpoint": "too-large.safetensors" });
        let policy = r#"{"error":{"type":"content_policy_violation","message":"no"}}"#;
        let refused = r#"{"error":{"code":"content_policy_violation","message":"no"}}"#;
        let inside = r#"{"error":{"type":"prompt_no_outputs","message":"no outputs"}}"#;
        let nulls = r#"{"prompt_id":null,"number":null,"node_errors":null}"#;
        // Also says how long the pauses are that the next ones are made from.
        let at_work = labelled(200, "content-type", "text/html", r#"{"status":"in_progress"}"#);
        let polls = |faults: &[Fault]| {
            let all = std::iter::once(&at_work).chain(faults);
            all.map(|fault| on(Step::Poll, fault.clone())).collect::<Vec<_>>()
        };
        let five = |status| polls(&vec![answer(status, "{}"); 5]);
        let odds = polls(&[403, 302, 400, 404].map(|status| answer(status, "{}")));
        let unread = polls(&["<html>", "null", "[]"].map(|body| answer(200, body)));
        for (case, spoken, faults, settings, code, words, submissions) in [
            ("cut", Native, vec![Fault::Cut], &none, "", "", 1),
            ("cut at an old one", Old, vec![Fault::Cut], &none, "", "", 1),
            ("cut at v2", V2, vec![Fault::Cut], &none, "", "", 1),
            ("silent", Native, vec![Fault::Hang], &none, "", "", 1),
            ("silent v2", V2, vec![Fault::Hang], &none, "", "", 1),
            ("endless", Native, vec![Fault::Endless], &none, "", "", 1),
            ("endless at v2", V2, vec![Fault::Endless], &none, "", "", 1),
            ("huge", Native, vec![Fault::Huge], &none, "", "", 1),
            ("huge at v2", V2, vec![Fault::Huge], &none, "", "", 1),
            ("slow", Native, vec![Fault::Drip(50)], &none, "", "", 1),
            ("slow v2", V2, vec![Fault::Drip(50)], &none, "", "", 1),
            ("bad gateway", Native, vec![answer(502, "<html>")], &none, "PROVIDER_OUTCOME_UNKNOWN", "no known task", 1),
            ("odd gateway", Native, vec![answer(520, "")], &none, "PROVIDER_OUTCOME_UNKNOWN", "no known task", 1),
            ("gateway", Native, vec![answer(504, "")], &none, "PROVIDER_OUTCOME_UNKNOWN", "no known task", 1),
            ("gateway of v2", V2, vec![answer(503, "{}")], &none, "PROVIDER_OUTCOME_UNKNOWN", "no known task", 1),
            ("taken", V2, vec![answer(422, taken)], &none, "PROVIDER_OUTCOME_UNKNOWN", "no known task", 1),
            ("busy", Native, vec![answer(503, ""), answer(429, "{}")], &none, "", "", 3),
            ("busy v2", V2, vec![answer(429, r#"{"error":{"code":"queue_full"}}"#)], &none, "", "", 2),
            ("garbage", Native, vec![answer(200, "<html>")], &none, "PROVIDER_OUTCOME_UNKNOWN", "no known task", 1),
            ("nulls", V2, vec![answer(201, r#"{"id":null}"#)], &none, "PROVIDER_OUTCOME_UNKNOWN", "no known task", 1),
            ("nulls of it", Native, vec![answer(200, nulls)], &none, "PROVIDER_OUTCOME_UNKNOWN", "does not know it", 1),
            ("null", Native, vec![answer(200, "null")], &none, "PROVIDER_OUTCOME_UNKNOWN", "no known task", 1),
            ("list", V2, vec![answer(201, "[]")], &none, "PROVIDER_OUTCOME_UNKNOWN", "no known task", 1),
            ("inside", Native, vec![answer(200, inside)], &none, "PROVIDER_OUTCOME_UNKNOWN", "no known task", 1),
            ("inside v2", V2, vec![answer(200, refused)], &none, "PROVIDER_OUTCOME_UNKNOWN", "no known task", 1),
            ("policy", Native, vec![answer(400, policy)], &none, "PROVIDER_REJECTED_CONTENT", "no", 1),
            ("policy of v2", V2, vec![answer(422, refused)], &none, "PROVIDER_REJECTED_CONTENT", "no", 1),
            ("redirect", Native, vec![answer(307, "")], &none, "PROVIDER_FAILED", "307", 1),
            ("redirect of v2", V2, vec![elsewhere()], &none, "PROVIDER_FAILED", "307", 1),
            ("mislabelled", Native, polls(&[]), &none, "", "", 1),
            ("odd polls", Native, odds.clone(), &none, "", "", 1),
            ("odd polls of v2", V2, odds, &none, "", "", 1),
            ("unread polls", Native, unread.clone(), &none, "", "", 1),
            ("unread polls of v2", V2, unread, &none, "", "", 1),
            ("poll slow", Native, polls(&[Fault::Drip(50)]), &none, "", "", 1),
            ("poll huge", V2, polls(&[Fault::Huge]), &none, "", "", 1),
            ("forbidden", Native, five(403), &none, "PROVIDER_NOT_READY", "403", 1),
            ("forbidden at v2", V2, five(403), &none, "PROVIDER_NOT_READY", "403", 1),
            ("redirected", Native, five(302), &none, "PROVIDER_FAILED", "302", 1),
            ("redirected at v2", V2, five(302), &none, "PROVIDER_FAILED", "302", 1),
            ("lost at v2", V2, five(404), &none, "PROVIDER_FAILED", "404", 1),
            ("key", V2, vec![answer(401, "{}")], &none, "PROVIDER_NOT_READY", "401", 1),
            ("credit", V2, vec![answer(402, "{}")], &none, "PROVIDER_NOT_READY", "402", 1),
            ("input", Native, vec![], &json!({ "steps": 0 }), "PROVIDER_REJECTED_INPUT", "node 3 (KSampler) steps: Value 0", 1),
            ("input of v2", V2, vec![], &json!({ "steps": 0 }), "PROVIDER_REJECTED_INPUT", "node 3 (KSampler) steps: Value 0", 1),
            ("node", Native, vec![], &broken, "PROVIDER_FAILED", "node 3 (KSampler): RuntimeError: mat1", 1),
            ("node of v2", V2, vec![], &broken, "PROVIDER_FAILED", "node 3 (KSampler): node_execution_error: mat1", 1),
            ("memory", Native, vec![], &large, "PROVIDER_LIMIT_EXCEEDED", "OutOfMemory", 1),
            ("memory at v2", V2, vec![], &large, "PROVIDER_LIMIT_EXCEEDED", "out of memory", 1),
        ] {
            let service = Service::start(spoken, faults).await;
            let service_config = service.config(&[]);
            let server = TestServer::start_with(&db, |config| {
                config.providers.insert("service".to_owned(), service_config);
                config.limits.output_bytes = 8 << 20;
            }).await;
            let named = feature(MediaType::Image, settings.clone());
            let feature = server.add_feature(named).await;
            let job = server.create(request_for(feature.id)).await.1.remove(0);
            let ended = server.ended(job.id).await;
            assert_eq!(ended.code(), code, "{case}: {:?}", ended.job.error);
            assert_eq!(service.submissions().len(), submissions, "{case}");
            if ["forbidden", "redirected", "lost"].iter().any(|word| case.starts_with(word)) {
                within(async {
                    while service.cancellations() == 0 {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }).await;
                assert_eq!(service.cancellations(), 1, "{case}");
            }
            let error = ended.job.error.unwrap_or_default();
            assert!(error.detail.contains(words), "{case}: {}", error.detail);
            assert!(!error.message.contains("KSampler") && !error.message.contains("node"), "{case}: {}", error.message);
            server.stop().await;
        }
    }

    async fn a_submission_that_cannot_be_looked_for_is_not_made_again_here_nor_elsewhere(db: TestDatabase) {
        let second = stand_in(Protocol::OpenAi, Vec::new()).await;
        let other = format!("base_url={}/v1", second.url());
        let other = provider(&["kind=openai", &other, r#"makes=["image"]"#]);
        for (spoken, status) in [(Spoken::Native, 502), (Spoken::Native, 500), (Spoken::V2, 502)] {
            // One for each look of each attempt, and more.
            let away = vec![on(Step::Poll, answer(503, "{}")); 20];
            let service = Service::start(spoken, [vec![answer(status, "")], away].concat()).await;
            let (first, other) = (service.config(&[]), other.clone());
            let server = TestServer::start_with(&db, |config| {
                config.providers.insert("service".to_owned(), first);
                config.providers.insert("second".to_owned(), other);
            }).await;
            let mut feature = feature(MediaType::Image, json!({}));
            let fallback = ProviderFallback { provider: "second".to_owned(), ..Default::default() };
            feature.properties.get_or_insert_default().fallbacks = vec![fallback];
            let feature = server.add_feature(feature).await;
            let job = server.create(request_for(feature.id)).await.1.remove(0);
            let ended = server.ended(job.id).await;
            let case = format!("{spoken:?} {status}: {:?}", ended.job);
            assert_eq!(ended.code(), "PROVIDER_OUTCOME_UNKNOWN", "{case}");
            assert!(ended.job.error.unwrap().detail.contains("looking for it"), "{case}");
            assert_eq!((service.submissions().len(), second.calls().len()), (1, 0), "{case}");
            server.stop().await;
        }
    }

    async fn a_run_that_somebody_interrupts_at_the_server_is_told_as_that(db: TestDatabase) {
        for spoken in ALL {
            let service = Service::start(spoken, Vec::new()).await;
            let server = service.server(&db, &[]).await;
            let named = feature(MediaType::Image, json!({ "steps": ENDLESS }));
            let feature = server.add_feature(named).await;
            let job = server.create(request_for(feature.id)).await.1.remove(0);
            progressed(&server, job.id, 0.0).await;
            service.post("/interrupt").await;
            let ended = server.ended(job.id).await;
            assert_eq!(ended.code(), "PROVIDER_FAILED", "{spoken:?}");
            assert!(ended.job.error.unwrap().detail.contains("interrupted"), "{spoken:?}");
            server.stop().await;
        }
    }

    async fn a_template_may_bring_a_workflow_of_its_own_which_is_checked_when_it_is_written(db: TestDatabase) {
        let service = Service::start(Spoken::Native, Vec::new()).await;
        let server = service.server(&db, &[]).await;
        let feature = server.add_feature(feature(MediaType::Image, json!({}))).await;
        let template = |style: Value| CreateTemplateRequest {
            template_data: Some(TemplateData { style: Some(structure(&style)), ..Default::default() }),
            ..plain_template(feature.id, "own")
        };
        let file = std::fs::read(format!("{WORKFLOWS}/text-to-image.json")).unwrap();
        let mut workflow: Value = serde_json::from_slice(&file).unwrap();
        let wrong = template(json!({ "workflow": workflow, "bindings": { "prompt": "60.inputs.text" } }));
        let refused = within(server.templates().create_template(wrong)).await.unwrap_err();
        assert!(format!("{refused:?}").contains("template_data.style.bindings.prompt"), "{refused:?}");

        workflow["3"]["inputs"]["steps"] = json!(2);
        let right = template(json!({ "workflow": workflow, "bindings": { "prompt": "6.inputs.text" } }));
        let template = server.add_template(right).await;
        let asked = CreateRequestRequest { template_id: Some(template.id), ..request_for(feature.id) };
        server.made(asked).await;
        assert_eq!(service.workflows()[0]["3"]["inputs"]["steps"], json!(2));
    }
}

#[tokio::test]
async fn a_probe_makes_nothing_and_learns_what_the_server_could_run() {
    for spoken in ALL {
        let service = Service::start(spoken, Vec::new()).await;
        let ProviderConfig::ComfyUi(config) = service.config(&[]) else {
            panic!("a service");
        };
        let files = fetcher(AddressRules::default());
        let provider = ComfyUi::new("service".to_owned(), config, &files);
        provider.probe().await.unwrap();
        let settings = |class: &str| {
            let node = json!({ "class_type": class, "inputs": { "filename_prefix": "x", "images": ["8", 0] } });
            Map::from_iter([("workflow".to_owned(), json!({ "9": node }))])
        };
        let image = atelier::domain::MediaType::Image;
        assert_eq!(
            provider.check(
                Preset::of_feature(image, "", &settings("SaveImage")),
                &Map::new()
            ),
            []
        );
        let found = provider.check(
            Preset::of_feature(image, "a model", &settings("SaveNothing")),
            &Map::new(),
        );
        let places: Vec<_> = found.iter().map(|unfit| unfit.place).collect();
        let expected = if spoken == Spoken::V2 {
            vec![Place::Model]
        } else {
            vec![Place::Settings, Place::Model]
        };
        assert_eq!(places, expected, "{spoken:?}");
        assert!(service.submissions().is_empty());
    }
}

#[test]
fn a_wrong_workflow_of_the_configuration_is_told_before_a_job_runs() {
    for (setting, words) in [
        (
            "workflow=other.json",
            "a file of the provider: image-to-image.json",
        ),
        (
            r#"bindings={ seed = "6.inputs.text" }"#,
            "where a number is held",
        ),
        (r#"workflow="""#, "must be"),
        ("workflows=/nowhere", "/nowhere"),
        ("api_key_header=a b", "no name of a header"),
    ] {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let service = runtime.block_on(Service::start(Spoken::Native, Vec::new()));
        let ProviderConfig::ComfyUi(config) = service.config(&[setting]) else {
            panic!("a service");
        };
        let files = fetcher(AddressRules::default());
        let missing = ComfyUi::new("service".to_owned(), config, &files)
            .ready()
            .unwrap_err();
        assert!(missing.detail.contains(words), "{setting}: {missing}");
    }
}
