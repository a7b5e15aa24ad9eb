//! The parts of the page, each with the calls that it makes.

use atelier::rpc::proto::*;
use serde_json::{Value, json};

use super::page::Page;
use super::site::Site;
use super::{held_up, serve, stored_requests};
use crate::support::client::{Client, USER, plain_template, request_for, scripted_feature};
use crate::support::database::on_both_databases;
use crate::support::samples::{choice, variable};
use crate::support::server::TestServer;
use crate::support::structure::value;
use crate::support::uploads::picture_named;

/// Where the server adds users and none is configured.
const SYSTEM_USER: i64 = 1_000_000_000_000;

/// What the page asks for when it is opened.
const OPENING: [&str; 6] = [
    "ListFeatures",
    "ListRequests",
    "ListTags",
    "ListTemplates",
    "RecordTemplateViews",
    "WatchUser",
];

on_both_databases! {
    async fn a_gallery_shows_pictures_in_the_users_language_and_filters_by_tags(db: TestDatabase) {
        let site = Site::start().await;
        let server = serve(&db, &site).await;
        stock(&server).await;
        let mut page = Page::open("gallery", &site.page(&server.url(), ""));

        let opened = page.tells("opened").await;
        assert_eq!(opened["features"], json!(["drawn", "other"]));
        assert_eq!(opened["templates"], json!(["elsewhere", "sale", "Quán phở"]));
        assert_eq!(opened["languages"], json!(["", "", "vi"]));
        assert_eq!(opened["tags"], json!(["phở 2", "shop 1"]));
        assert_eq!(opened["calls"], json!(OPENING));
        let of_feature = page.tells("of_feature").await;
        assert_eq!(of_feature["templates"], json!(["no style", "sale", "Quán phở"]));
        assert_eq!(of_feature["tags"], json!(["phở 1", "shop 1"]));
        // All of these have been seen, so there is no view to record.
        assert_eq!(of_feature["calls"], json!(["ListTags", "ListTemplates"]));
        let of_tag = page.tells("of_tag").await;
        assert_eq!(of_tag["templates"], json!(["no style", "Quán phở"]));
        assert_eq!(of_tag["calls"], json!(["ListTemplates"]));
        page.closes().await;
        server.app().fold_trends().await.unwrap();
        let listed = server.templates().list_templates(ListTemplatesRequest::default()).await;
        let templates = listed.unwrap().into_inner().templates;
        assert!(templates.iter().all(|template| template.view_count == 1), "{templates:?}");
    }

    async fn a_form_has_a_field_for_everything_and_is_checked_at_every_pause(db: TestDatabase) {
        let site = Site::start().await;
        let server = serve(&db, &site).await;
        let feature = server.add_feature(drawn_feature("drawn")).await.id;
        let template_data = Some(TemplateData { variables: variables_of_all_kinds(), ..Default::default() });
        let template = CreateTemplateRequest { template_data, ..plain_template(feature, "kinds") };
        server.add_template(template).await;
        let photo = server.upload(USER, &picture_named("photo")).await.url;
        let mut page = Page::open("form", &format!("{}#{photo}", site.page(&server.url(), "")));

        let form = page.tells("form").await;
        assert_eq!(form["calls"], json!(["GetTemplate"]));
        assert_eq!(form["controls"], json!([
            ["user_prompt", "textarea", "", ""],
            ["input.variables.percent", "number", "10", "Offer"],
            ["input.variables.size", "select-one", "m", "Offer"],
            ["input.variables.motto", "textarea", "", ""],
            ["input.variables.day", "date", "", ""],
            ["input.variables.colour", "color", "#00ff00", ""],
            ["input.variables.delivery", "checkbox", "on", ""],
            ["input.variables.photo", "text", "", ""],
            ["input.variations", "select-one", "1", ""],
            ["input.output.format", "select-one", "png", ""],
            ["input.negative_prompt", "textarea", "", ""],
            ["input.output.aspect_ratio", "select-one", "16:9", ""],
        ]));
        let warned = page.tells("warned").await;
        assert_eq!(warned["calls"], json!(["CreateRequest"]));
        assert_eq!((&warned["violations"], warned["warnings"].as_array().unwrap().len()), (&json!({}), 1));
        let violated = page.tells("violated").await;
        assert_eq!(violated["calls"], json!(["CreateRequest"]));
        let violations = violated["violations"].as_object().unwrap();
        assert_eq!(violations.keys().collect::<Vec<_>>(), ["input.variables.percent"]);
        assert_eq!(page.tells("checked").await["violations"], json!({}));
        assert_eq!(stored_requests(&server).await, 0);
        assert_eq!(page.tells("made").await["calls"], json!(["CreateRequest"]));
        page.closes().await;

        let made = newest(&server).await.input.unwrap();
        let given = [
            ("percent", json!(35)), ("size", json!("l")), ("motto", json!("Một\nHai")), ("day", json!("2026-11-29")),
            ("colour", json!("#ff0000")), ("delivery", json!(true)), ("photo", json!(photo)),
        ];
        assert_eq!(made.variables, given.map(|(name, json)| (name.to_owned(), value(&json))).into());
        assert_eq!(made.output.unwrap().aspect_ratio.as_deref(), Some("1:1"));
        assert_eq!((made.variations, made.negative_prompt), (0, None));
    }

    async fn four_variations_come_forward_on_one_stream(db: TestDatabase) {
        let site = Site::start().await;
        let server = serve(&db, &site).await;
        let script = held_up(&server, &["succeed"]).await;
        let mut page = Page::open("four", &site.page(&server.url(), ""));

        assert_eq!(page.tells("processing").await["previews"], 4);
        script.open_gate();
        let finished = page.tells("finished").await;
        let steps = json!([[1, "pending"], [2, "processing"], [3, "completed"]]);
        assert_eq!(finished["steps"], json!([steps, steps, steps, steps]));
        assert_eq!(finished["progress"], json!([1, 1, 1, 1]));
        assert_eq!(finished["streams"], "1");
        assert_eq!(finished["calls"], json!(["CreateRequest"]));
        page.closes().await;
    }

    async fn a_history_takes_one_call_a_page_and_a_deletion_can_be_undone(db: TestDatabase) {
        let site = Site::start().await;
        let server = serve(&db, &site).await;
        let feature = server.scripted_feature().await;
        for number in 1..=13 {
            let user_prompt = format!("{number}.");
            server.made(CreateRequestRequest { user_prompt, ..request_for(feature) }).await;
        }
        let mut page = Page::open("history", &site.page(&server.url(), ""));

        let listed = page.tells("listed").await;
        assert_eq!((&listed["count"], &listed["covers"]), (&json!(12), &json!(12)));
        let opening = OPENING.into_iter().filter(|call| *call != "RecordTemplateViews");
        assert_eq!(listed["calls"], Value::from_iter(opening));
        let more = page.tells("more").await;
        assert_eq!(more["words"], Value::from_iter((1..=13).rev().map(|number| format!("{number}."))));
        assert_eq!(more["calls"], json!(["ListRequests"]));
        for (event, call, pictures) in
            [("opened", "GetRequest", 1), ("deleted", "DeleteRequest", 0), ("restored", "UndeleteRequest", 1)]
        {
            let told = page.tells(event).await;
            assert_eq!((&told["calls"], &told["pictures"]), (&json!([call]), &json!(pictures)), "{event}");
        }
        page.closes().await;
        assert_eq!(stored_requests(&server).await, 13);
    }

    async fn what_waits_is_cancelled_and_what_failed_is_tried_again(db: TestDatabase) {
        let site = Site::start().await;
        let server = TestServer::start_with(&db, |config| {
            config.server.cors_origins = vec![site.origin()];
            config.executor.concurrency = 1;
        }).await;
        let script = held_up(&server, &["fail"]).await;
        let mut page = Page::open("again", &site.page(&server.url(), ""));

        let cancelled = page.tells("cancelled").await;
        assert_eq!(cancelled["steps"], json!([[1, "pending"], [2, "cancelled"]]));
        assert_eq!(cancelled["calls"], json!(["CancelRequest"]));
        script.open_gate();
        let tried = page.tells("tried_again").await;
        assert!(!tried["error"].as_str().unwrap().is_empty(), "{tried}");
        assert_eq!(tried["calls"], json!(["RetryRequest"]));
        page.closes().await;
        let listed = server.jobs().list_jobs(ListJobsRequest::default()).await.unwrap().into_inner();
        let mut statuses: Vec<_> = listed.jobs.iter().map(|job| job.status()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [JobStatus::Failed, JobStatus::Failed, JobStatus::Cancelled]);
    }
}

/// Two features with three templates, one of which has a picture of the system user and speaks Vietnamese.
async fn stock(server: &TestServer) {
    let drawn = server.add_feature(drawn_feature("drawn")).await.id;
    let other = server.add_feature(drawn_feature("other")).await.id;
    let made = server
        .made(CreateRequestRequest {
            user_id: SYSTEM_USER,
            ..request_for(drawn)
        })
        .await;
    let vietnamese = Translation {
        display_name: "Quán phở".to_owned(),
        ..Default::default()
    };
    let noodles = CreateTemplateRequest {
        tags: vec!["phở".to_owned(), "shop".to_owned()],
        translations: [("vi".to_owned(), vietnamese)].into(),
        preview_media_id: Some(made.media()[0].id),
        ..plain_template(drawn, "noodles")
    };
    let elsewhere = CreateTemplateRequest {
        tags: vec!["phở".to_owned()],
        ..plain_template(other, "elsewhere")
    };
    for template in [noodles, plain_template(drawn, "sale"), elsewhere] {
        server.add_template(template).await;
    }
}

/// A feature of the built-in provider.
fn drawn_feature(name: &str) -> CreateFeatureRequest {
    let properties = FeatureProperties {
        supported_aspect_ratios: vec!["16:9".to_owned(), "1:1".to_owned()],
        ..Default::default()
    };
    CreateFeatureRequest {
        properties: Some(properties),
        ..scripted_feature(name)
    }
}

fn variables_of_all_kinds() -> Vec<TemplateVariable> {
    use TemplateVariableType::*;
    let offer = |variable| TemplateVariable {
        group: "Offer".to_owned(),
        ..variable
    };
    let default_of = |json| Some(value(&json));
    vec![
        offer(TemplateVariable {
            default_value: default_of(json!(10)),
            max: Some(90.0),
            step: Some(5.0),
            unit: "%".to_owned(),
            ..variable("percent", Integer)
        }),
        variable("motto", Text),
        variable("day", Date),
        TemplateVariable {
            default_value: default_of(json!("#00ff00")),
            ..variable("colour", Color)
        },
        variable("delivery", Boolean),
        variable("photo", Picture),
        offer(TemplateVariable {
            choices: vec![choice("m"), choice("l")],
            default_value: default_of(json!("m")),
            ..variable("size", Enum)
        }),
    ]
}

async fn newest(client: &Client) -> Request {
    let asked = ListRequestsRequest {
        user_id: USER,
        ..Default::default()
    };
    let listed = client.requests().list_requests(asked).await;
    listed.unwrap().into_inner().requests.remove(0)
}
