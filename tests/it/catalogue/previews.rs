//! Templates are tried before they are published, go back to what they were, and are shown by media of the system user.

use atelier::entity::request;
use atelier::rpc::proto::*;
use chrono::TimeDelta;
use sea_orm::{ActiveValue::Set, EntityTrait};
use serde_json::json;
use tonic::Code;

use crate::support::client::{USER, plain_template, request_for, scripted_feature};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::http::get;
use crate::support::process::{Process, atelier, run};
use crate::support::refusal::refusal;
use crate::support::samples::{limited_feature, sale};
use crate::support::server::{TestServer, within};
use crate::support::structure::value;

/// Where the server adds users and none is configured.
const SYSTEM_USER: i64 = 1_000_000_000_000;

on_both_databases! {
    async fn a_template_is_tried_in_little_and_nothing_else_tells_of_it(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.add_feature(drawn_feature()).await.id;
        let saved = CreateTemplateRequest { is_active: Some(false), ..plain_template(feature, "saved") };
        let saved = server.add_template(saved).await;
        let city = ("city".to_owned(), value(&json!("Huế")));
        let unsaved = PreviewTemplateRequest {
            feature_id: feature,
            template_data: Some(sale()),
            input: Some(GenerationInput { variables: [city].into(), variations: 2, ..Default::default() }),
            ..preview_of(&saved)
        };
        for (asked, prompt) in [(unsaved, "Xin chào 10% Huế"), (preview_of(&saved), "")] {
            let (made, job) = preview(&server, asked).await;
            assert!(made.is_preview && made.template_prompt == prompt, "{made:?}");
            server.completed(job.id).await;
            let media = server.media_of(job.id).await;
            assert_eq!((media[0].width, media[0].height), (512, 288));
            assert_eq!(server.request(made.id).await.status(), RequestStatus::Completed);
        }
        let asked = CreateRequestRequest { template_id: Some(saved.id), ..request_for(feature) };
        refusal(server.requests().create_request(asked).await)
            .is(Code::FailedPrecondition, ErrorReason::TemplateInactive);

        assert_eq!(told(&server, false).await, [0; 5]);
        let [requests, counted, jobs, counted_jobs, media] = told(&server, true).await;
        assert_eq!([requests, counted, jobs, counted_jobs], [2; 4]);
        assert!(media >= 2);
        server.app().fold_trends().await.unwrap();
        assert_eq!(server.template(saved.id).await.usage_count, 0);
    }

    async fn what_is_wrong_with_unsaved_data_is_told_as_if_it_were_saved(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(limited_feature()).await.id;
        let template = server.add_template(plain_template(feature, "saved")).await;
        let data = TemplateData {
            prompt: "{{ nobody }}".to_owned(),
            defaults: Some(GenerationInput { variations: 3, ..Default::default() }),
            ..Default::default()
        };
        let wrong = PreviewTemplateRequest { template_data: Some(data), ..preview_of(&template) };
        refusal(server.templates().preview_template(wrong).await)
            .of_fields(["template_data.prompt", "template_data.defaults.variations"]);
        let nothing = PreviewTemplateRequest { template_id: None, feature_id: feature, ..preview_of(&template) };
        refusal(server.templates().preview_template(nothing).await).of_fields(["template_data", "user_prompt"]);
    }

    async fn a_preview_is_hidden_after_an_hour_unless_the_catalogue_is_shown_by_it(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.add_feature(drawn_feature()).await.id;
        let template = server.add_template(plain_template(feature, "shown")).await;
        let mut made = Vec::new();
        for user_id in [USER, SYSTEM_USER, USER] {
            let (request, job) = preview(&server, PreviewTemplateRequest { user_id, ..preview_of(&template) }).await;
            server.completed(job.id).await;
            made.push((request.id, job.id));
        }
        let [(old, _), (shown, job), (young, _)] = made[..] else { panic!("{made:?}") };
        let media = server.media_of(job).await[0].id;
        let with_preview = Template { preview_media_id: Some(media), ..template };
        server.update_template(with_preview, &["preview_media_id"]).await.unwrap();
        for id in [old, shown] {
            let created_at = Set(server.app().clock.now() - TimeDelta::minutes(61));
            let aged = request::ActiveModel { id: Set(id), created_at, ..Default::default() };
            request::Entity::update(aged).exec(&db.connect().await).await.unwrap();
        }
        server.app().hide_previews().await.unwrap();
        for (id, hidden) in [(old, true), (shown, false), (young, false)] {
            assert_eq!(server.request(id).await.delete_time.is_some(), hidden, "{id}");
        }
    }

    async fn only_media_of_the_system_user_is_published_with_a_link_that_can_be_read(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.add_feature(drawn_feature()).await;
        let template = server.add_template(plain_template(feature.id, "shown")).await;
        let mut media = Vec::new();
        for user_id in [USER, SYSTEM_USER] {
            let made = server.made(CreateRequestRequest { user_id, ..request_for(feature.id) }).await;
            media.push(made.media()[0].id);
        }
        let named = |id| Template { preview_media_id: Some(id), ..template.clone() };
        for wrong in [media[0], 4_711] {
            let path = ["preview_media_id"];
            refusal(server.update_template(named(wrong), &path).await).of_fields(["template.preview_media_id"]);
            let create = CreateFeatureRequest { preview_media_id: Some(wrong), ..scripted_feature("other") };
            refusal(server.features().create_feature(create).await).of_fields(["preview_media_id"]);
        }
        let shown = server.update_template(named(media[1]), &["preview_media_id"]).await.unwrap();
        let feature = Feature { preview_media_id: Some(media[1]), ..feature };
        server.update_feature(feature.clone(), &["preview_media_id"]).await.unwrap();

        let listed = server.templates().list_templates(ListTemplatesRequest::default()).await;
        let listed = listed.unwrap().into_inner().templates.remove(0);
        let features = server.features().list_features(ListFeaturesRequest::default()).await;
        let features = features.unwrap().into_inner().features;
        for preview in [shown.preview_media, listed.preview_media, features[0].preview_media.clone()] {
            let preview = preview.unwrap();
            assert_eq!(preview.id, media[1]);
            let fetched = get(preview.download_url.parse().unwrap()).await;
            assert!(fetched.status().is_success());
        }

        server.media().delete_media(DeleteMediaRequest { id: media[1] }).await.unwrap();
        let template = server.template(template.id).await;
        assert_eq!((template.preview_media_id, template.preview_media.clone()), (Some(media[1]), None));
        // What it has lost is no reason to refuse a change of something else, and it can be taken away.
        let renamed = Template { name: "renamed".to_owned(), ..template.clone() };
        server.update_template(renamed, &["name"]).await.unwrap();
        let none = Template { preview_media_id: None, etag: String::new(), ..template };
        let none = server.update_template(none, &["preview_media_id"]).await.unwrap();
        assert_eq!(none.preview_media_id, None);
    }

    async fn validate_only_checks_a_change_of_the_catalogue_and_stores_nothing(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(limited_feature()).await;
        let template = server.add_template(plain_template(feature.id, "sale")).await;
        let create = |name| CreateFeatureRequest { validate_only: true, ..scripted_feature(name) };
        let made = server.features().create_feature(create("new")).await.unwrap().into_inner().feature.unwrap();
        assert_eq!((made.id, made.name.as_str()), (0, "new"));
        refusal(server.features().create_feature(create("limited")).await)
            .is(Code::AlreadyExists, ErrorReason::FeatureNameTaken);
        let create = |name| CreateTemplateRequest { validate_only: true, ..plain_template(feature.id, name) };
        let made = server.templates().create_template(create("new")).await.unwrap().into_inner().template.unwrap();
        assert_eq!((made.id, made.name.as_str()), (0, "new"));
        refusal(server.templates().create_template(create("sale")).await)
            .is(Code::AlreadyExists, ErrorReason::TemplateNameTaken);

        let update = |etag: &str| UpdateTemplateRequest {
            template: Some(Template {
                id: template.id,
                etag: etag.to_owned(),
                template_data: Some(TemplateData {
                    defaults: Some(GenerationInput { variations: 2, ..Default::default() }),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            validate_only: true,
            ..Default::default()
        };
        let changed = server.templates().update_template(update("")).await.unwrap().into_inner().template.unwrap();
        assert_eq!(changed.template_data.unwrap().defaults.unwrap().variations, 2);
        refusal(server.templates().update_template(update("stale")).await)
            .is(Code::Aborted, ErrorReason::EtagMismatch);
        assert_eq!(server.template(template.id).await, template);
        let stored = UpdateTemplateRequest { validate_only: false, ..update("") };
        server.templates().update_template(stored).await.unwrap();

        let narrow = |allow_breaking| UpdateFeatureRequest {
            feature: Some(Feature {
                id: feature.id,
                properties: Some(FeatureProperties { max_batch_size: 1, ..Default::default() }),
                ..Default::default()
            }),
            allow_breaking,
            validate_only: true,
            ..Default::default()
        };
        refusal(server.features().update_feature(narrow(false)).await)
            .is(Code::FailedPrecondition, ErrorReason::FeatureBreaksTemplates);
        let narrowed = server.features().update_feature(narrow(true)).await.unwrap().into_inner();
        assert_eq!(narrowed.broken_template_ids, [template.id]);
        assert_eq!(server.feature(feature.id).await, feature);
        let all = server.features().list_features(ListFeaturesRequest::default()).await;
        assert_eq!(all.unwrap().into_inner().features.len(), 1);
    }

    async fn a_template_keeps_its_last_hundred_versions_and_goes_back_to_one(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(limited_feature()).await;
        let mut template = server.add_template(plain_template(feature.id, "sale")).await;
        // The first change is none of the data and has no entry of its own.
        template.description = "Giảm giá".to_owned();
        template = server.update_template(template, &["description"]).await.unwrap();
        for number in 0..100 {
            let mut next = template.clone();
            next.template_data.as_mut().unwrap().prompt = format!("{number} {{{{ user_prompt }}}}");
            template = server.update_template(next, &["template_data.prompt"]).await.unwrap();
        }
        let all = versions(&server, template.id, 0).await;
        assert_eq!(all.len(), 100);
        assert_eq!((all[0].version, all[99].version), (102, 3));
        assert_eq!(all[0].template_data, template.template_data);
        let fifth = versions(&server, template.id, 7).await.remove(0);
        assert_eq!((fifth.version, prompt_of(&fifth)), (7, "4 {{ user_prompt }}"));

        let restore = |version, etag: &str| RestoreTemplateVersionRequest { id: template.id, version, etag: etag.to_owned() };
        for (wrong, etag) in [(2, ""), (103, "")] {
            refusal(server.templates().restore_template_version(restore(wrong, etag)).await).of_fields(["version"]);
        }
        refusal(server.templates().restore_template_version(restore(7, "stale")).await)
            .is(Code::Aborted, ErrorReason::EtagMismatch);
        let restored = server.templates().restore_template_version(restore(7, &template.etag)).await;
        let restored = restored.unwrap().into_inner().template.unwrap();
        assert_eq!(restored.template_data, fifth.template_data);
        assert_eq!((restored.description.as_str(), restored.etag.as_str()), ("Giảm giá", "103"));
        assert_eq!(versions(&server, template.id, 0).await[0].version, 103);
    }

    async fn the_command_makes_what_is_missing_and_only_that(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(drawn_feature()).await;
        let needy = CreateTemplateRequest { template_data: Some(sale()), ..plain_template(feature.id, "big_sale") };
        let template = server.add_template(needy).await;
        let folder = format!("storage.folder={}", server.media_folder().display());
        let spool = format!("executor.spool_folder={}", server.media_folder().join("spool").display());
        let command = |all: &'static str| {
            let settings = ["identity.provision_users=true", "executor.poll_interval=50ms", &folder, &spool];
            let settings = settings.into_iter().flat_map(|setting| ["--set", setting]);
            let arguments = ["catalogue", "previews"].into_iter().chain(settings);
            let arguments = arguments.chain((!all.is_empty()).then_some(all));
            run(atelier(&db, &arguments.collect::<Vec<_>>()))
        };
        let mut made = Vec::new();
        for (all, lines) in [("", 2), ("", 0), ("--all", 2)] {
            let output = command(all).await;
            let (told, trouble) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{told}{trouble}");
            assert_eq!(told.lines().count(), lines, "{told}");
            assert!(lines == 0 || told.starts_with("made   drawn/big_sale: media "), "{told}");
            let feature = server.feature(feature.id).await;
            let template = server.template(template.id).await;
            let shown = [feature.preview_media, template.preview_media].map(Option::unwrap);
            assert!(shown.iter().all(|media| media.width <= 512 && !media.download_url.is_empty()));
            made.push(shown.map(|media| media.id));
        }
        assert_eq!(made[0], made[1]);
        assert!(made[2].iter().all(|id| !made[1].contains(id)), "{made:?}");
        assert_eq!(told(&server, false).await, [0; 5]);
    }
}

#[tokio::test]
async fn the_first_start_of_a_server_shows_the_starter_catalogue() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let settings = [
        "catalogue.install_starter=true",
        "catalogue.install_previews=true",
    ];
    let process = Process::serve(&db, db.media.path(), &settings).await;
    within(async {
        let list = ListTemplatesRequest {
            page_size: 1,
            ..Default::default()
        };
        loop {
            let listed = process.templates().list_templates(list.clone()).await;
            if listed.unwrap().into_inner().templates[0]
                .preview_media
                .is_some()
            {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// A wide picture of the built-in provider.
fn drawn_feature() -> CreateFeatureRequest {
    CreateFeatureRequest {
        properties: Some(FeatureProperties {
            supported_aspect_ratios: vec!["16:9".to_owned()],
            ..Default::default()
        }),
        ..scripted_feature("drawn")
    }
}

fn preview_of(template: &Template) -> PreviewTemplateRequest {
    PreviewTemplateRequest {
        user_id: USER,
        template_id: Some(template.id),
        user_prompt: "Xin chào".to_owned(),
        ..Default::default()
    }
}

async fn preview(server: &TestServer, asked: PreviewTemplateRequest) -> (Request, Job) {
    let made = server.templates().preview_template(asked).await;
    let mut made = made.unwrap().into_inner();
    assert_eq!(made.jobs.len(), 1);
    (made.request.unwrap(), made.jobs.remove(0))
}

/// How many requests and jobs are listed and counted, and how many media are listed.
async fn told(server: &TestServer, show_previews: bool) -> [i64; 5] {
    let listed = ListRequestsRequest {
        show_previews,
        ..Default::default()
    };
    let requests = server.requests().list_requests(listed).await.unwrap();
    let counted = CountRequestsRequest {
        show_previews,
        ..Default::default()
    };
    let counted = server.requests().count_requests(counted).await.unwrap();
    let listed = ListJobsRequest {
        show_previews,
        ..Default::default()
    };
    let jobs = server.jobs().list_jobs(listed).await.unwrap();
    let of_jobs = CountJobsRequest {
        show_previews,
        ..Default::default()
    };
    let of_jobs = server.jobs().count_jobs(of_jobs).await.unwrap();
    let listed = ListMediaRequest {
        show_previews,
        ..Default::default()
    };
    let media = server.media().list_media(listed).await.unwrap();
    let count = |rows: usize| i64::try_from(rows).unwrap();
    [
        count(requests.into_inner().requests.len()),
        counted.into_inner().total,
        count(jobs.into_inner().jobs.len()),
        of_jobs.into_inner().total,
        count(media.into_inner().media.len()),
    ]
}

async fn versions(
    server: &TestServer,
    template_id: i64,
    up_to_version: i64,
) -> Vec<TemplateVersion> {
    let list = ListTemplateVersionsRequest {
        template_id,
        up_to_version,
        page_size: 1_000,
        ..Default::default()
    };
    let listed = server.templates().list_template_versions(list).await;
    listed.unwrap().into_inner().versions
}

fn prompt_of(version: &TemplateVersion) -> &str {
    &version.template_data.as_ref().unwrap().prompt
}
