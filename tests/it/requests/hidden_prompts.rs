//! What a template says to the provider: its user's own to read, unless the feature hides it.

use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, CreateTemplateRequest, FeatureProperties,
    GenerationInput, GetRequestRequest, MediaType, OutputSettings, RenderTemplateRequest, Request,
    ResolvedInput, TemplateData, View,
};
use codec::provenance;
use serde_json::{Value, json};

use crate::support::client::{Client, plain_template, request_for};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::identity::{asks, by, token};
use crate::support::server::TestServer;
use crate::support::structure::structure;

const RENDERED: &str = "5ec2e7: Xin chào";
const NOT_SHOWN: &str = "5ec2e7 rain";

on_both_databases! {
    async fn a_user_reads_what_the_template_made_of_his_words(db: TestDatabase) {
        let (trusting, server) = pair(&db).await;
        let asked = asked(&trusting, false).await;
        for who in [token("user", "7"), token("service", "shop")] {
            assert_eq!(told(&server, &who, &asked).await, [RENDERED, NOT_SHOWN, RENDERED, RENDERED, NOT_SHOWN, RENDERED, RENDERED]);
        }
        let recipe = recipe(&trusting, asked).await;
        assert_eq!(recipe["input"]["prompt"], RENDERED);
    }

    async fn a_feature_hides_it_from_users_and_in_files(db: TestDatabase) {
        let (trusting, server) = pair(&db).await;
        let asked = asked(&trusting, true).await;
        assert_eq!(told(&server, &token("user", "7"), &asked).await, [""; 7]);
        let service = token("service", "shop");
        assert_eq!(told(&server, &service, &asked).await, [RENDERED, NOT_SHOWN, RENDERED, RENDERED, NOT_SHOWN, RENDERED, RENDERED]);
        let to_pass_on = get(&server, &service, made(&server, &service, &asked).await.id, View::User).await;
        assert_eq!(to_pass_on.template_prompt, "");

        let recipe = recipe(&trusting, asked).await;
        assert!(!recipe.to_string().contains("5ec2e7"), "{recipe}");
        assert_eq!(recipe["input"]["user_prompt"], "Xin chào");
    }

    async fn what_was_hidden_when_it_was_asked_for_stays_so(db: TestDatabase) {
        let (trusting, server) = pair(&db).await;
        let asked = asked(&trusting, true).await;
        let user = token("user", "7");
        let made = made(&server, &user, &asked).await;
        db.execute(r#"UPDATE generation_features SET properties = '{"provider": "builtin"}'"#).await;
        assert_eq!(get(&server, &user, made.id, View::Unspecified).await.template_prompt, "");
    }
}

/// One that trusts all and runs jobs, and one beside it that asks who calls.
async fn pair(db: &TestDatabase) -> (TestServer, TestServer) {
    let trusting = TestServer::start(db).await;
    let server = trusting.beside(atelier::server::Role::Api, db, asks).await;
    (trusting, server)
}

/// A request of user 7 by a template.
async fn asked(server: &TestServer, hide_prompt: bool) -> CreateRequestRequest {
    let feature = CreateFeatureRequest {
        name: "drawn".to_owned(),
        category: MediaType::Image.into(),
        properties: Some(FeatureProperties {
            hide_prompt,
            omit_thumbnails: true,
            ..Default::default()
        }),
        ..Default::default()
    };
    let feature = server.add_feature(feature).await.id;
    let template = CreateTemplateRequest {
        template_data: Some(TemplateData {
            prompt: "5ec2e7: {{ user_prompt }}".to_owned(),
            negative_prompt: NOT_SHOWN.to_owned(),
            style: Some(structure(&json!({ "badge": "5ec2e7" }))),
            ..Default::default()
        }),
        ..plain_template(feature, "opening")
    };
    let template = server.add_template(template).await;
    let output = OutputSettings {
        width: Some(96),
        height: Some(64),
        ..Default::default()
    };
    CreateRequestRequest {
        template_id: Some(template.id),
        input: Some(GenerationInput {
            output: Some(output),
            ..Default::default()
        }),
        ..request_for(feature)
    }
}

/// All that tells of the prompt: RenderTemplate's prompt and negative prompt, the same two and the template's of
/// `validate_only`, and the template's of a request as it is made and as it is read.
async fn told(client: &Client, who: &str, asked: &CreateRequestRequest) -> [String; 7] {
    let render = RenderTemplateRequest {
        id: asked.template_id.unwrap(),
        user_prompt: asked.user_prompt.clone(),
        ..Default::default()
    };
    let rendered = client.templates().render_template(by(who, render)).await;
    let rendered = rendered.unwrap().into_inner();
    let resolved = resolved(client, who, asked).await;
    let made = made(client, who, asked).await;
    let read = get(client, who, made.id, View::Unspecified).await;
    [
        rendered.prompt,
        rendered.negative_prompt,
        resolved.prompt,
        resolved.template_prompt,
        resolved.negative_prompt,
        made.template_prompt,
        read.template_prompt,
    ]
}

async fn resolved(client: &Client, who: &str, asked: &CreateRequestRequest) -> ResolvedInput {
    let asked = CreateRequestRequest {
        validate_only: true,
        ..asked.clone()
    };
    let validated = client.requests().create_request(by(who, asked)).await;
    validated.unwrap().into_inner().resolved_input.unwrap()
}

async fn made(client: &Client, who: &str, asked: &CreateRequestRequest) -> Request {
    let made = client
        .requests()
        .create_request(by(who, asked.clone()))
        .await;
    made.unwrap().into_inner().request.unwrap()
}

async fn get(client: &Client, who: &str, id: i64, view: View) -> Request {
    let view = view.into();
    let asked = GetRequestRequest {
        id,
        view,
        ..Default::default()
    };
    let read = client.requests().get_request(by(who, asked)).await;
    read.unwrap().into_inner().request.unwrap()
}

/// What the file tells that comes out.
async fn recipe(server: &TestServer, asked: CreateRequestRequest) -> Value {
    let media = server.made(asked).await.media();
    let recipe = provenance::read(&server.content_of(&media[0]).await);
    Value::Object(recipe.unwrap())
}
