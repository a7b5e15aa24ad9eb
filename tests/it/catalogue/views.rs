//! How much lists of features and templates tell of each.

use atelier::rpc::proto::{
    CreateFeatureRequest, CreateTemplateRequest, Feature, FeatureProperties, ListFeaturesRequest,
    ListTemplatesRequest, Template, TemplateData, View,
};
use serde_json::json;

use crate::support::client::{plain_template, scripted_feature};
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::server::TestServer;
use crate::support::structure::structure;

on_both_databases! {
    async fn the_basic_view_of_features_leaves_out_what_is_open_and_large(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let whole = server.add_feature(CreateFeatureRequest {
            description: "Posters".to_owned(),
            system_prompt: "Draw posters.".to_owned(),
            properties: Some(FeatureProperties {
                extra: Some(structure(&json!({ "house": "x" }))),
                max_batch_size: 3,
                ..Default::default()
            }),
            ..scripted_feature("poster")
        }).await;
        let basic = Feature {
            system_prompt: String::new(),
            properties: Some(FeatureProperties { provider: String::new(), extra: None, ..whole.properties.clone().unwrap() }),
            ..whole.clone()
        };
        for (view, expected) in [
            (View::Unspecified, &whole), (View::Full, &whole), (View::Basic, &basic),
        ] {
            let request = ListFeaturesRequest { view: view.into(), text: "poster".to_owned(), ..Default::default() };
            let listed = server.features().list_features(request).await.unwrap().into_inner();
            assert_eq!(listed.features, std::slice::from_ref(expected), "{view:?}");
        }
    }

    async fn the_basic_view_of_templates_leaves_out_their_data(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let whole = server.add_template(CreateTemplateRequest {
            description: "Bold".to_owned(),
            tags: vec!["sale".to_owned()],
            template_data: Some(TemplateData { prompt: "Bold: {{ user_prompt }}".to_owned(), ..Default::default() }),
            ..plain_template(feature, "bold")
        }).await;
        let basic = Template { template_data: None, ..whole.clone() };
        for (view, expected) in [
            (View::Unspecified, &whole), (View::Full, &whole), (View::Basic, &basic),
        ] {
            let tags = vec!["SALE".to_owned()];
            let request = ListTemplatesRequest { view: view.into(), tags, text: "bold".to_owned(), ..Default::default() };
            let listed = server.templates().list_templates(request).await.unwrap().into_inner();
            assert_eq!(listed.templates, std::slice::from_ref(expected), "{view:?}");
        }
    }

    async fn the_basic_view_makes_pages_longer_and_may_change_between_them(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        for number in 0..5 {
            server.add_template(plain_template(feature, &format!("large_{number}"))).await;
        }
        // Three fit into 2 MiB.
        let words = "x".repeat(600_000);
        db.execute(&format!("UPDATE generation_templates SET template_data = '{{\"prompt\": \"{words}\"}}'")).await;
        let list = async |view: View, page_token: &str| {
            let request = ListTemplatesRequest { view: view.into(), page_token: page_token.to_owned(), ..Default::default() };
            server.templates().list_templates(request).await.unwrap().into_inner()
        };
        assert_eq!(list(View::Basic, "").await.templates.len(), 5);
        let first = list(View::Full, "").await;
        assert_eq!(first.templates.len(), 3);
        let rest = list(View::Basic, &first.next_page_token).await;
        assert_eq!((rest.templates.len(), rest.next_page_token.as_str()), (2, ""));
    }

    async fn a_view_that_does_not_exist_is_refused_with_all_else(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let wrong = ListFeaturesRequest { view: 99, category: 99, ..Default::default() };
        refusal(server.features().list_features(wrong).await).of_fields(["view", "category"]);
        let wrong = ListTemplatesRequest { view: -1, order: 99, ..Default::default() };
        refusal(server.templates().list_templates(wrong).await).of_fields(["view", "order"]);
    }
}
