//! What people read of features and templates: names in several languages, and names in the place of ids.

use std::collections::HashMap;

use atelier::domain::Catalogue;
use atelier::rpc::proto::{
    BatchGetTemplatesRequest, CreateFeatureRequest, CreateRequestRequest, CreateTemplateRequest,
    ErrorReason, Feature, GetFeatureRequest, GetTemplateRequest, ListFeaturesRequest,
    ListTemplatesRequest, PreviewTemplateRequest, RecordTemplateViewRequest, RenderTemplateRequest,
    Template, TemplateChoice, TemplateData, TemplateVariable, TemplateVariableType, Translation,
    VariableTranslation, View,
};
use tonic::{Code, Request};

use crate::support::client::{Client, USER, plain_template, request_for, scripted_feature};
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::samples::{choice, full_template, limited_feature, variable};
use crate::support::server::TestServer;

on_both_databases! {
    async fn texts_are_told_in_the_language_of_the_caller_and_the_originals_stay(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(named_feature()).await;
        let template = server.add_template(named_template(feature.id)).await;
        assert_eq!((template.language.as_str(), template.display_name.as_str()), ("en", "Sale"));

        for (accept, language, expected) in [
            ("", None, "en"),
            ("vi-VN,vi;q=0.9,en;q=0.8", None, "vi"),
            ("en-GB,vi;q=0.9", None, "en"),
            ("fr", None, "en"),
            ("vi", Some(""), "en"),
            ("en", Some("vi-VN"), "vi"),
        ] {
            let place = format!("{accept:?} {language:?}");
            let language = language.map(str::to_owned);
            let found = texts(&server, &template, accept, language).await;
            for (feature, template) in found {
                assert_eq!((feature.language.as_str(), template.language.as_str()), (expected, expected), "{place}");
                let is_vietnamese = expected == "vi";
                assert_eq!(feature.display_name, if is_vietnamese { "Áp phích" } else { "Poster" }, "{place}");
                // What is not translated stays.
                assert_eq!((feature.description.as_str(), feature.name.as_str()), ("For walls", "poster"), "{place}");
                assert_eq!(template.display_name, if is_vietnamese { "Giảm giá" } else { "Sale" }, "{place}");
                let Some(data) = template.template_data else {
                    assert!(template.translations.is_empty(), "{place}");
                    continue;
                };
                let [city, note] = &data.variables[..] else { panic!("{data:?}") };
                assert_eq!(city.label, if is_vietnamese { "Thành phố" } else { "City" }, "{place}");
                assert_eq!(city.choices[0].label, if is_vietnamese { "Cố đô" } else { "Old capital" }, "{place}");
                assert_eq!((city.choices[1].label.as_str(), note.label.as_str()), ("", "Note"), "{place}");
                assert_eq!(template.translations.len(), 1, "{place}");
            }
        }
        let wrong = GetTemplateRequest { id: template.id, language: Some("vi_VN".to_owned()), ..Default::default() };
        refusal(server.templates().get_template(wrong).await).of_fields(["language"]);
    }

    async fn what_is_read_can_be_given_back_and_no_translation_becomes_the_original(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(named_feature()).await;
        let template = server.add_template(named_template(feature.id)).await;
        assert_eq!(server.update_template(template.clone(), &["*"]).await.unwrap(), template);
        assert_eq!(server.update_feature(feature.clone(), &["*"]).await.unwrap(), feature);
        let parts = server.update_template(template.clone(), &["template_data"]).await.unwrap();
        assert_eq!(parts, template);

        let read = GetTemplateRequest { id: template.id, language: Some("vi".to_owned()), ..Default::default() };
        let translated = server.templates().get_template(read).await.unwrap().into_inner().template.unwrap();
        for paths in [&["*"][..], &["display_name"], &["template_data"], &["template_data.variables"], &[]] {
            refusal(server.update_template(translated.clone(), paths).await).of_fields(["template.language"]);
        }
        let read = GetFeatureRequest { id: feature.id, language: Some("vi".to_owned()), ..Default::default() };
        let translated_feature = server.features().get_feature(read).await.unwrap().into_inner().feature.unwrap();
        refusal(server.update_feature(translated_feature, &["description"]).await).of_fields(["feature.language"]);
        assert_eq!(server.template(template.id).await, template);

        // All but the texts may come from it.
        let changed = Template { is_active: false, ..translated };
        let updated = server.update_template(changed, &["is_active", "translations"]).await.unwrap();
        let expected = Template { is_active: false, etag: updated.etag.clone(), update_time: updated.update_time, ..template };
        assert_eq!(updated, expected);
        let emptied = server.update_template(Template { translations: HashMap::new(), ..updated }, &["translations"]).await;
        assert!(emptied.unwrap().translations.is_empty());
    }

    async fn everything_wrong_with_translations_is_told_at_once(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let texts = Translation {
            display_name: "a\nb".to_owned(),
            variables: [
                ("nobody".to_owned(), VariableTranslation::default()),
                ("city".to_owned(), VariableTranslation {
                    unit: "x".repeat(33),
                    choices: [("Sài Gòn".to_owned(), "x".to_owned())].into(),
                    ..Default::default()
                }),
            ].into(),
            ..Default::default()
        };
        let wrong = CreateTemplateRequest {
            display_name: "x".repeat(201),
            original_language: "en".to_owned(),
            translations: [
                ("EN".to_owned(), Translation::default()),
                ("v!".to_owned(), Translation::default()),
                ("vi".to_owned(), texts),
            ].into(),
            ..named_template(feature)
        };
        refusal(server.templates().create_template(wrong).await).of_fields([
            "display_name",
            "translations.EN",
            "translations",
            "translations.vi.display_name",
            "translations.vi.variables.city.unit",
            "translations.vi.variables.city.choices",
            "translations.vi.variables",
        ]);
    }

    async fn a_template_that_is_named_is_rendered_seen_and_previewed(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(named_feature()).await;
        let template = server.add_template(plain_template(feature.id, "sale")).await;
        let mut calls = server.templates();
        let render = |id, template: &str| RenderTemplateRequest {
            id, template: template.to_owned(), user_prompt: "Xin chào".to_owned(), ..Default::default()
        };
        let by_id = calls.render_template(render(template.id, "")).await.unwrap().into_inner();
        assert_eq!(calls.render_template(render(0, "poster/sale")).await.unwrap().into_inner(), by_id);
        let view = |id, template: &str| RecordTemplateViewRequest { id, template: template.to_owned(), user_id: USER };
        let counted = calls.record_template_view(view(0, "poster/sale")).await.unwrap().into_inner();
        assert!(counted.is_counted);
        let counted = calls.record_template_view(view(template.id, "")).await.unwrap().into_inner();
        assert!(!counted.is_counted);
        let preview = |template: &str| PreviewTemplateRequest {
            template: template.to_owned(), user_id: USER, user_prompt: "Xin chào".to_owned(), ..Default::default()
        };
        let in_feature = PreviewTemplateRequest { feature: "poster".to_owned(), ..preview("poster/sale") };
        let unsaved = PreviewTemplateRequest {
            feature: "poster".to_owned(), template_data: Some(TemplateData::default()), ..preview("")
        };
        for (asked, template_id) in [
            (preview("poster/sale"), Some(template.id)), (in_feature, Some(template.id)), (unsaved, None),
        ] {
            let made = calls.preview_template(asked).await.unwrap().into_inner().request.unwrap();
            assert_eq!((made.feature_id, made.template_id), (feature.id, template_id));
        }

        refusal(calls.render_template(render(template.id, "poster/sale")).await).of_fields(["template"]);
        refusal(calls.render_template(render(0, "")).await).of_fields(["id"]);
        let both = RecordTemplateViewRequest { user_id: 0, ..view(template.id, "poster/sale") };
        refusal(calls.record_template_view(both).await).of_fields(["template", "user_id"]);
        let both = PreviewTemplateRequest { template_id: Some(template.id), ..preview("poster/sale") };
        refusal(calls.preview_template(both).await).of_fields(["template"]);
        refusal(calls.render_template(render(0, "poster/none")).await).is(Code::NotFound, ErrorReason::TemplateNotFound);
        refusal(calls.record_template_view(view(0, "sale")).await).is(Code::NotFound, ErrorReason::TemplateNotFound);
        refusal(calls.preview_template(preview("none/sale")).await).is(Code::NotFound, ErrorReason::TemplateNotFound);
    }

    async fn a_text_finds_names_and_descriptions_in_every_language(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let described = |description: &str| Translation {
            display_name: "Affiche".to_owned(), description: description.to_owned(), ..Default::default()
        };
        let mut asked = named_feature();
        asked.translations.insert("fr".to_owned(), described("Pour les murs"));
        let feature = server.add_feature(asked).await;
        let mut asked = named_template(feature.id);
        asked.translations.insert("fr".to_owned(), described("Pour les soldes"));
        let template = server.add_template(asked).await;
        server.add_template(plain_template(feature.id, "plain")).await;
        let other = server.add_feature(scripted_feature("other")).await;
        let found = async |text: &str| {
            let (text, language) = (text.to_owned(), Some("en".to_owned()));
            let request = ListFeaturesRequest { text: text.clone(), language: language.clone(), ..Default::default() };
            let features = server.features().list_features(request).await.unwrap().into_inner().features;
            let request = ListTemplatesRequest { text, language, ..Default::default() };
            let templates = server.templates().list_templates(request).await.unwrap().into_inner().templates;
            let features: Vec<_> = features.iter().map(|feature| feature.id).collect();
            (features, templates.iter().map(|template| template.id).collect::<Vec<_>>())
        };
        let checked = async || {
            for (text, features, templates) in [
                ("áp phích", vec![feature.id], vec![]),
                ("GIẢM GIÁ", vec![], vec![template.id]),
                ("affiche", vec![feature.id], vec![template.id]),
                ("POUR LES", vec![feature.id], vec![template.id]),
                ("soldes", vec![], vec![template.id]),
                ("for walls", vec![feature.id], vec![]),
                // One text is not the next, and what a form says is none of them.
                ("affiche pour", vec![], vec![]),
                ("Cố đô", vec![], vec![]),
                ("other", vec![other.id], vec![]),
            ] {
                assert_eq!(found(text).await, (features, templates), "{text}");
            }
        };
        checked().await;
        // As an older program has left them.
        for table in ["features", "templates"] {
            db.execute(&format!("UPDATE generation_{table} SET search_text = NULL, search_version = NULL")).await;
        }
        checked().await;
        let changed = Template { display_name: "Rabais".to_owned(), translations: HashMap::new(), ..template.clone() };
        server.update_template(changed, &["display_name", "translations"]).await.unwrap();
        assert_eq!(found("soldes").await, (vec![], vec![]));
        assert_eq!(found("rabais").await, (vec![], vec![template.id]));
    }

    async fn features_and_templates_can_be_named_in_the_place_of_their_ids(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(named_feature()).await;
        let by_name = CreateTemplateRequest { feature: "poster".to_owned(), ..plain_template(0, "sale") };
        let template = server.add_template(by_name).await;
        assert_eq!(template.feature_id, feature.id);
        let other = server.add_feature(scripted_feature("other")).await;

        let found = GetFeatureRequest { feature: "poster".to_owned(), ..Default::default() };
        let found = server.features().get_feature(found).await.unwrap().into_inner().feature.unwrap();
        assert_eq!(found, feature);
        let found = server.templates().get_template(named("poster/sale")).await.unwrap().into_inner().template.unwrap();
        assert_eq!(found, template);

        let asked = |feature: &str, template: &str| CreateRequestRequest {
            feature: feature.to_owned(), template: template.to_owned(), ..request_for(0)
        };
        let by_id = CreateRequestRequest { template_id: Some(template.id), ..request_for(0) };
        for request in [asked("", "poster/sale"), asked("poster", "poster/sale"), by_id] {
            let (made, _) = server.create(request.clone()).await;
            assert_eq!((made.feature_id, made.template_id), (feature.id, Some(template.id)), "{request:?}");
            let validated = CreateRequestRequest { validate_only: true, ..request };
            assert!(server.requests().create_request(validated).await.is_ok());
        }
        let (made, _) = server.create(asked("other", "")).await;
        assert_eq!((made.feature_id, made.template_id), (other.id, None));

        for (request, field) in [
            (CreateRequestRequest { feature_id: feature.id, ..asked("poster", "") }, "feature"),
            (CreateRequestRequest { template_id: Some(template.id), ..asked("", "poster/sale") }, "template"),
            (asked("other", "poster/sale"), "template"),
            (asked("", ""), "feature_id"),
        ] {
            refusal(server.requests().create_request(request).await).of_fields([field]);
        }
        for (request, reason, name) in [
            (asked("nothing", ""), ErrorReason::FeatureNotFound, "nothing"),
            (asked("poster", "poster/nothing"), ErrorReason::TemplateNotFound, "poster/nothing"),
            (asked("", "sale"), ErrorReason::TemplateNotFound, "sale"),
            (asked("a\0", ""), ErrorReason::FeatureNotFound, "a"),
            (asked("", "poster/a\0"), ErrorReason::TemplateNotFound, "poster/a"),
        ] {
            refusal(server.requests().create_request(request).await).is(Code::NotFound, reason).with("name", name);
        }
        let both = GetTemplateRequest { id: template.id, ..named("poster/sale") };
        refusal(server.templates().get_template(both).await).of_fields(["template"]);

        // What was accepted under a key is found again whatever has become of the names.
        let keyed = CreateRequestRequest { idempotency_key: "once".to_owned(), ..asked("", "poster/sale") };
        let (first, _) = server.create(keyed.clone()).await;
        server.delete_template(template.id, "").await.unwrap();
        assert_eq!(server.create(keyed.clone()).await.0.id, first.id);
        let unkeyed = CreateRequestRequest { idempotency_key: String::new(), ..keyed };
        refusal(server.requests().create_request(unkeyed).await)
            .is(Code::NotFound, ErrorReason::TemplateNotFound);
        refusal(server.templates().get_template(named("poster/sale")).await)
            .is(Code::NotFound, ErrorReason::TemplateNotFound);
    }

    async fn a_feature_tells_what_a_request_without_a_template_may_ask_for_and_gets(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(limited_feature()).await.id;
        let template = server.add_template(plain_template(feature, "plain")).await.id;
        let of_feature = GetFeatureRequest { id: feature, ..Default::default() };
        let of_feature = server.features().get_feature(of_feature).await.unwrap().into_inner();
        let of_template = GetTemplateRequest { id: template, ..Default::default() };
        let of_template = server.templates().get_template(of_template).await.unwrap().into_inner();
        assert!(of_feature.default_width > 0);
        assert_eq!(
            (of_feature.input_limits, of_feature.input_defaults, of_feature.default_width, of_feature.default_height),
            (of_template.input_limits, of_template.input_defaults, of_template.default_width, of_template.default_height),
        );
    }
}

#[test]
fn the_catalogues_that_come_with_the_program_speak_vietnamese_and_english() {
    let catalogues = [
        include_str!("../../../catalogue/starter.toml"),
        include_str!("../../../catalogue/services.toml"),
        include_str!("../../../catalogue/exec.toml"),
        include_str!("../../../catalogue/voice.toml"),
    ];
    let catalogues = catalogues.map(|text| Catalogue::read(text).unwrap());
    for entry in catalogues.iter().flat_map(|it| &it.features) {
        let of_feature = (&entry.feature.name, &entry.feature.names, &[][..]);
        let of_templates = entry.templates.iter();
        let of_templates = of_templates.map(|it| (&it.name, &it.names, &it.data.variables[..]));
        for (name, names, variables) in of_templates.chain([of_feature]) {
            let vietnamese = &names.translations["vi"];
            assert_eq!(names.original_language, "en", "{name}");
            assert!(!names.display_name.is_empty(), "{name}");
            assert!(
                !vietnamese.display_name.is_empty() && !vietnamese.description.is_empty(),
                "{name}"
            );
            for variable in variables {
                let texts = &vietnamese.variables[&variable.name];
                let pairs = [
                    (&variable.label, &texts.label),
                    (&variable.group, &texts.group),
                    (&variable.unit, &texts.unit),
                ];
                assert!(!variable.label.is_empty(), "{name} {}", variable.name);
                for (original, translated) in pairs {
                    assert_eq!(
                        original.is_empty(),
                        translated.is_empty(),
                        "{name} {}",
                        variable.name
                    );
                }
                let all_named = variable
                    .choices
                    .iter()
                    .all(|choice| texts.choices.contains_key(&choice.value));
                assert!(all_named, "{name} {}", variable.name);
            }
        }
    }
}

fn named(template: &str) -> GetTemplateRequest {
    GetTemplateRequest {
        template: template.to_owned(),
        ..Default::default()
    }
}

fn named_feature() -> CreateFeatureRequest {
    let texts = Translation {
        display_name: "Áp phích".to_owned(),
        ..Default::default()
    };
    CreateFeatureRequest {
        display_name: "Poster".to_owned(),
        description: "For walls".to_owned(),
        original_language: "en".to_owned(),
        translations: [("vi".to_owned(), texts)].into(),
        ..scripted_feature("poster")
    }
}

fn named_template(feature_id: i64) -> CreateTemplateRequest {
    let hue = TemplateChoice {
        label: "Old capital".to_owned(),
        ..choice("Huế")
    };
    let city = TemplateVariable {
        label: "City".to_owned(),
        choices: vec![hue, choice("Hà Nội")],
        ..variable("city", TemplateVariableType::Enum)
    };
    let note = TemplateVariable {
        label: "Note".to_owned(),
        ..variable("note", TemplateVariableType::Text)
    };
    let of_city = VariableTranslation {
        label: "Thành phố".to_owned(),
        choices: [("Huế".to_owned(), "Cố đô".to_owned())].into(),
        ..Default::default()
    };
    let texts = Translation {
        display_name: "Giảm giá".to_owned(),
        description: "Giảm giá cuối năm".to_owned(),
        variables: [("city".to_owned(), of_city)].into(),
    };
    CreateTemplateRequest {
        display_name: "Sale".to_owned(),
        original_language: "en".to_owned(),
        translations: [("vi".to_owned(), texts)].into(),
        template_data: Some(TemplateData {
            variables: vec![city, note],
            ..Default::default()
        }),
        ..full_template(feature_id, "sale")
    }
}

/// The feature and the template as each call that reads tells them.
async fn texts(
    client: &Client,
    template: &Template,
    accept: &str,
    language: Option<String>,
) -> Vec<(Feature, Template)> {
    fn with<M>(message: M, accept: &str) -> Request<M> {
        let mut request = Request::new(message);
        let accept = accept.parse().unwrap();
        request.metadata_mut().insert("accept-language", accept);
        request
    }
    let (id, language) = (template.id, || language.clone());
    let get = GetFeatureRequest {
        id: template.feature_id,
        language: language(),
        ..Default::default()
    };
    let got = client.features().get_feature(with(get, accept)).await;
    let got = got.unwrap().into_inner().feature.unwrap();
    let list = ListFeaturesRequest {
        language: language(),
        ..Default::default()
    };
    let listed = client.features().list_features(with(list, accept)).await;
    let listed = listed.unwrap().into_inner().features.remove(0);

    let get = GetTemplateRequest {
        id,
        language: language(),
        ..Default::default()
    };
    let got_template = client.templates().get_template(with(get, accept)).await;
    let mut templates = vec![got_template.unwrap().into_inner().template.unwrap()];
    let batch = BatchGetTemplatesRequest {
        ids: vec![id],
        language: language(),
        ..Default::default()
    };
    let batch = client
        .templates()
        .batch_get_templates(with(batch, accept))
        .await;
    templates.extend(batch.unwrap().into_inner().templates);
    for view in [View::Full, View::Basic] {
        let list = ListTemplatesRequest {
            view: view.into(),
            language: language(),
            ..Default::default()
        };
        let listed = client.templates().list_templates(with(list, accept)).await;
        templates.extend(listed.unwrap().into_inner().templates);
    }
    let features = [got, listed].into_iter().cycle();
    features.zip(templates).collect()
}
