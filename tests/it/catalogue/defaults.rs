//! The defaults of a template: what a form starts from is what a request gets, and a request can do without them.

use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, CreateTemplateRequest, ErrorReason, Feature,
    FeatureProperties, GenerationInput, GetFeatureRequest, GetTemplateRequest, GetTemplateResponse,
    LoraWeights, MediaType, OutputSettings, ResolvedInput, TemplateData, UpdateFeatureRequest,
    UpdateFeatureResponse,
};
use prost_types::FieldMask;
use tonic::{Code, Status};

use crate::support::client::{Client, plain_template, request_for};
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::server::{TestServer, within};

on_both_databases! {
    async fn a_default_can_be_cleared_and_what_is_absent_is_the_default(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let (_, template) = styled(&server).await;
        let absent = resolved(&server, template, GenerationInput::default()).await;
        assert_eq!(
            (absent.negative_prompt.as_str(), absent.seeds[0], absent.has_random_seed, absent.product_url.as_str()),
            ("blurred", 7, false, "https://example.com/shoe"),
        );
        assert_eq!((absent.width, absent.height, absent.format.as_str()), (1_200, 628, "png"));
        assert_eq!(absent.lora_weights.len(), 1);

        let cleared = GenerationInput {
            negative_prompt: Some(String::new()),
            seed: Some(-1),
            lora_weights: Some(LoraWeights::default()),
            product_url: Some(String::new()),
            output: Some(OutputSettings {
                format: Some(String::new()),
                width: Some(0),
                height: Some(0),
                ..Default::default()
            }),
            ..Default::default()
        };
        let cleared = resolved(&server, template, cleared).await;
        assert_eq!((cleared.negative_prompt.as_str(), cleared.has_random_seed, cleared.product_url.as_str()), ("", true, ""));
        assert_eq!((cleared.width, cleared.height, cleared.format.as_str()), (1_080, 1_080, "webp"));
        assert!(cleared.lora_weights.is_empty());
    }

    async fn a_form_s_defaults_sent_back_are_what_nothing_asked_for_gives(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let (_, template) = styled(&server).await;
        let form = form(&server, template).await;
        let defaults = form.input_defaults.unwrap();
        let untouched = resolved(&server, template, GenerationInput::default()).await;
        assert_eq!((form.default_width, form.default_height), (untouched.width, untouched.height));
        assert_eq!(resolved(&server, template, defaults.clone()).await, untouched);

        let mut changed = defaults;
        changed.output.get_or_insert_default().aspect_ratio = Some("1:1".to_owned());
        let changed = resolved(&server, template, changed).await;
        assert_eq!((changed.width, changed.height), (1_080, 1_080), "no contradiction with a size of before");
    }

    async fn a_feature_is_not_narrowed_below_its_templates_unless_that_is_wanted(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let (feature, template) = styled(&server).await;
        let ratios = |ratios: &[&str]| FeatureProperties {
            supported_aspect_ratios: ratios.iter().map(|ratio| (*ratio).to_owned()).collect(),
            ..Default::default()
        };
        let refused = refusal(narrow(&server, feature, ratios(&["1:1", "4:5"]), false).await);
        refused
            .is(Code::FailedPrecondition, ErrorReason::FeatureBreaksTemplates)
            .with("feature_id", feature)
            .with("templates", 1);
        let get = GetFeatureRequest { id: feature, ..Default::default() };
        let kept = within(server.features().get_feature(get)).await.unwrap().into_inner().feature.unwrap();
        assert_eq!(kept.properties.unwrap().supported_aspect_ratios.len(), 3);

        let told = narrow(&server, feature, ratios(&["1:1", "4:5"]), true).await.unwrap();
        assert_eq!(told.broken_template_ids, [template]);
        let form = form(&server, template).await;
        let defaults = form.input_defaults.unwrap();
        assert_eq!(defaults.output.as_ref().unwrap().aspect_ratio.as_deref(), Some("1:1"));
        let given = resolved(&server, template, GenerationInput::default()).await;
        assert_eq!((given.width, given.height), (form.default_width, form.default_height));
        assert_eq!(given.negative_prompt, "blurred", "what is allowed stays");

        // One that was broken before is not what another change breaks.
        let told = narrow(&server, feature, ratios(&["1:1"]), false).await.unwrap();
        assert!(told.broken_template_ids.is_empty());
    }
}

/// A feature with three ratios, and a template that has a default for everything.
async fn styled(server: &TestServer) -> (i64, i64) {
    let properties = FeatureProperties {
        formats: vec!["webp".to_owned(), "png".to_owned()],
        supported_aspect_ratios: ["1:1", "4:5", "300:157"].map(str::to_owned).to_vec(),
        ..Default::default()
    };
    let feature = CreateFeatureRequest {
        name: "styled".to_owned(),
        category: MediaType::Image.into(),
        properties: Some(properties),
        ..Default::default()
    };
    let feature = server.add_feature(feature).await.id;
    let defaults = GenerationInput {
        negative_prompt: Some("blurred".to_owned()),
        seed: Some(7),
        lora_weights: Some(LoraWeights {
            weights: [("ink".to_owned(), 0.5)].into(),
        }),
        product_url: Some("https://example.com/shoe".to_owned()),
        output: Some(OutputSettings {
            format: Some("png".to_owned()),
            width: Some(1_200),
            height: Some(628),
            ..Default::default()
        }),
        ..Default::default()
    };
    let template = server
        .add_template(CreateTemplateRequest {
            template_data: Some(TemplateData {
                defaults: Some(defaults),
                ..Default::default()
            }),
            ..plain_template(feature, "styled")
        })
        .await;
    (feature, template.id)
}

async fn form(client: &Client, template: i64) -> GetTemplateResponse {
    let get = GetTemplateRequest {
        id: template,
        ..Default::default()
    };
    within(client.templates().get_template(get))
        .await
        .unwrap()
        .into_inner()
}

async fn resolved(client: &Client, template: i64, input: GenerationInput) -> ResolvedInput {
    let template = form(client, template).await.template.unwrap();
    let asked = CreateRequestRequest {
        template_id: Some(template.id),
        validate_only: true,
        input: Some(input),
        ..request_for(template.feature_id)
    };
    let answer = within(client.requests().create_request(asked))
        .await
        .unwrap();
    answer.into_inner().resolved_input.unwrap()
}

async fn narrow(
    client: &Client,
    id: i64,
    properties: FeatureProperties,
    allow_breaking: bool,
) -> Result<UpdateFeatureResponse, Status> {
    let update = UpdateFeatureRequest {
        feature: Some(Feature {
            id,
            properties: Some(properties),
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["properties.supported_aspect_ratios".to_owned()],
        }),
        allow_breaking,
        ..Default::default()
    };
    let updated = within(client.features().update_feature(update)).await?;
    Ok(updated.into_inner())
}
