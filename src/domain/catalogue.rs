//! A catalogue as a TOML file lists it: features by name, and their templates by name within each.
//!
//! `read` makes drafts of a file and tells everything that is wrong with it, `table` makes tables of drafts, to write and to
//! compare, `value` says how open-ended JSON is written in TOML.

mod read;
mod table;
mod value;

use super::{FeatureDraft, TemplateDraft};

pub use read::tell_in_file;
pub use table::{changed_feature_fields, changed_template_fields};

/// Features and templates that may come from a file or go into one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    /// In the order of the file; no two have one name.
    pub features: Vec<CatalogueFeature>,
}

/// A feature and its templates. These belong to it, whatever their `feature_id`.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogueFeature {
    /// What the catalogue says of it; its `category` is set.
    pub feature: FeatureDraft,
    /// In the order of the file; no two have one name.
    pub templates: Vec<TemplateDraft>,
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{
        Choice, Error, FeatureProperties, GenerationInput, JsonMap, MediaType, Names,
        OutputSettings, TemplateData, Translation, Variable, VariableTranslation, VariableType,
    };

    fn read(toml: &str) -> Catalogue {
        Catalogue::read(toml).unwrap_or_else(|error| panic!("{error}: {toml}"))
    }

    /// The problems of a file in order of their place.
    fn problems(toml: &str) -> Vec<String> {
        let Err(Error::Validation(violations)) = Catalogue::read(toml) else {
            panic!("the file was accepted");
        };
        let mut problems: Vec<_> = violations.iter().map(ToString::to_string).collect();
        problems.sort();
        problems
    }

    #[test]
    fn the_starter_catalogue_comes_back_from_its_own_file() {
        let starter = read(include_str!("../../catalogue/starter.toml"));
        let written = starter.to_toml().unwrap_or_default();
        let again = read(&written);
        assert!(starter.features.len() > 3);
        assert_eq!(again, starter);
        assert_eq!(again.to_toml().ok(), Some(written));
    }

    #[test]
    fn everything_wrong_with_a_file_is_told_at_once_by_its_place() {
        let problems = problems(
            r#"
            feature = 1
            [[features]]
            name = "Poster X"
            descripton = "x"
            category = "imag"
            is_active = "yes"
            properties = { max_duration = -1, formats = "png", translations = { "v!" = {} }, studio = { lights = [1, nan] } }
            [[features]]
            name = "poster"
            category = "video"
            templates = [{ name = "a" }, 3]
            [[features]]
            name = "poster"
            category = "image"
            [[features.templates]]
            name = "b"
            tags = ["x", "x"]
            trend_start_date = 2026-01-02T00:00:00Z
            trend_end_date = 2026-01-01T00:00:00Z
            [features.templates.template_data]
            prompt = "{{ nobody }}"
            translations.vi = { variables = { nobody = { label = "Ai" } } }
            translations.fr = { displayname = "x" }
            negative_prompt = 3
            defaults = { seed = -2, batch_size = -3, output = { widht = 3, height = "tall" } }
            variables = [{ nam = "x", type = "integer", default = "many" }, { name = "y" }]
            "#,
        );
        let paths: Vec<_> = problems
            .iter()
            .map(|problem| problem.split(": ").next().unwrap_or_default())
            .collect();
        assert_eq!(
            paths,
            [
                "feature",
                "features[0].category",
                "features[0].descripton",
                "features[0].is_active",
                "features[0].name",
                "features[0].properties.formats",
                "features[0].properties.max_duration",
                "features[0].properties.studio.lights[1]",
                "features[0].properties.translations",
                "features[1].templates[0].template_data",
                "features[1].templates[1]",
                "features[2].name",
                "features[2].templates[0].tags[1]",
                "features[2].templates[0].template_data.defaults.batch_size",
                "features[2].templates[0].template_data.defaults.output.height",
                "features[2].templates[0].template_data.defaults.output.widht",
                "features[2].templates[0].template_data.defaults.seed",
                "features[2].templates[0].template_data.negative_prompt",
                "features[2].templates[0].template_data.prompt",
                "features[2].templates[0].template_data.translations",
                "features[2].templates[0].template_data.variables[0].default",
                "features[2].templates[0].template_data.variables[0].nam",
                "features[2].templates[0].template_data.variables[0].name",
                "features[2].templates[0].template_data.variables[1].type",
                "features[2].templates[0].trend_end_date",
            ]
        );
        assert!(problems[2].ends_with("is not a key of a catalogue; did you mean description?"));
        assert!(problems[11].ends_with("is the name of features[1]"));
    }

    #[test]
    fn what_is_too_much_to_be_told_is_counted() {
        let tags = vec!["\"\""; 32].join(", ");
        let template = format!(
            "\n[[features.templates]]\nname = \"t\"\ntemplate_data = {{}}\ntags = [{tags}]\n"
        );
        let file = format!("[[features]]\nname = \"f\"\ncategory = \"image\"{template}");
        let Err(Error::Validation(violations)) = Catalogue::read(&file) else {
            panic!("the file was accepted");
        };
        // Each is empty, and all but the first are there twice.
        assert_eq!((violations.iter().len(), violations.count()), (32, 63));
    }

    #[test]
    fn a_file_that_is_no_toml_is_told_by_line_and_column() {
        assert_eq!(
            problems("features = []\nname = \"ế\" x\n"),
            ["line 2, column 12: unexpected key or value, expected newline, `#`"]
        );
        assert_eq!(problems(""), ["features: is required"]);
    }

    #[test]
    fn what_differs_is_named_by_its_key_and_a_float_may_come_back_whole() {
        let text = "[[features]]\nname = \"a\"\ncategory = \"image\"\nproperties = { x = 1e15, y = 0.1, z = [1] }\n";
        let before = read(text).features.remove(0).feature;
        let same = text
            .replace("1e15", "1000000000000000")
            .replace("0.1", "0.10000000000000002");
        let fields = |text: &str| {
            let after = read(text).features.remove(0).feature;
            changed_feature_fields(&before, &after).unwrap_or_default()
        };
        assert_eq!(fields(&same), Vec::<String>::new());
        let other = same.replace("0.1", "0.2").replace("[1]", "[1, 2]");
        assert_eq!(fields(&other), ["properties.y", "properties.z"]);
        let other = text.replace("properties", "description = \"d\"\nis_active = false\n#");
        assert_eq!(fields(&other), ["description", "is_active", "properties"]);
    }

    #[test]
    fn a_time_is_read_as_databases_keep_it_and_must_have_a_year_of_four_digits() {
        let windowed = |start: &str| {
            format!(
                "[[features]]\nname = \"f\"\ncategory = \"image\"\n[[features.templates]]\nname = \"t\"\n\
                 trend_start_date = {start}\ntemplate_data = {{}}\n"
            )
        };
        for (start, kept) in [
            (
                "2026-01-01T00:00:00.123456789Z",
                "2026-01-01T00:00:00.123457Z",
            ),
            ("2026-01-01T07:00:00+07:00", "2026-01-01T00:00:00Z"),
            ("2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00.5Z"),
            (
                "9999-12-31T23:59:59.9999999Z",
                "9999-12-31T23:59:59.999999Z",
            ),
        ] {
            let written = read(&windowed(start)).to_toml().unwrap_or_default();
            assert!(
                written.contains(&format!("trend_start_date = {kept}\n")),
                "{written}"
            );
        }
        for start in ["0000-12-31T23:59:59Z", "\"+12345-01-01T00:00:00Z\""] {
            assert_eq!(
                problems(&windowed(start)),
                ["features[0].templates[0].trend_start_date: must lie in the years 1 to 9999"]
            );
        }
    }

    #[test]
    fn a_window_that_moves_is_named_by_its_keys() {
        let window = |start: i64, end: i64| {
            let time = |hours: i64| DateTime::from_timestamp(hours * 3_600, 0);
            let mut catalogue = read(
                "features = [{ name = \"f\", category = \"image\", templates = [{ name = \"t\", template_data = {} }] }]",
            );
            let template = catalogue.features.remove(0).templates.remove(0);
            TemplateDraft {
                trend_start: time(start),
                trend_end: time(end),
                ..template
            }
        };
        let changed = changed_template_fields(&window(1, 2), &window(0, 3));
        assert_eq!(
            changed.unwrap_or_default(),
            ["trend_end_date", "trend_start_date"]
        );
    }

    fn text() -> impl Strategy<Value = String> {
        "[\\PC\n\r\t\"'\\\\ế]{0,12}".prop_map(|text| text.replace(['{', '}'], ""))
    }

    fn open_keys() -> impl Strategy<Value = JsonMap> {
        let value = prop_oneof![
            Just(json!(null)),
            Just(json!({ "deep": [null, { "$null": true }, []], "": {} })),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text().prop_map(Value::from),
        ];
        prop::collection::btree_map("x[a-z.$ế ]{0,4}", value, 0..4)
            .prop_map(|map| map.into_iter().collect())
    }

    fn feature() -> impl Strategy<Value = FeatureDraft> {
        (
            text(),
            text(),
            any::<bool>(),
            -9..9_i32,
            open_keys(),
            0..3_i64,
        )
            .prop_map(
                |(description, system_prompt, is_active, order_index, extra, max_batch_size)| {
                    FeatureDraft {
                        name: "f".to_owned(),
                        names: names(&description, []),
                        description,
                        category: Some(MediaType::Image),
                        system_prompt,
                        properties: FeatureProperties {
                            formats: vec!["png".to_owned()],
                            allow_empty_prompt: is_active,
                            max_batch_size,
                            extra,
                            ..FeatureProperties::default()
                        },
                        preview_url: "https://a.vn/'\"".to_owned(),
                        preview_media_id: None,
                        icon_url: String::new(),
                        is_active,
                        order_index,
                    }
                },
            )
    }

    fn names<const N: usize>(text: &str, variables: [(String, VariableTranslation); N]) -> Names {
        let translation = Translation {
            description: text.to_owned(),
            variables: variables.into(),
            ..Translation::default()
        };
        Names {
            display_name: text.replace(['\n', '\r', '\t'], ""),
            original_language: "en".to_owned(),
            translations: [("vi-VN".to_owned(), translation)].into(),
        }
    }

    fn translated(choice: &str) -> VariableTranslation {
        VariableTranslation {
            label: "Ở đâu".to_owned(),
            choices: [(choice.to_owned(), "Cố đô".to_owned())].into(),
            ..VariableTranslation::default()
        }
    }

    /// A variable of each old type.
    fn variables(label: &str, bound: f64) -> Vec<Variable> {
        let variable = |name: &str, kind, default| Variable {
            name: name.to_owned(),
            kind,
            label: label.replace(['\n', '\r', '\t'], ""),
            description: label.to_owned(),
            placeholder: String::new(),
            default,
            required: name == "s",
            max_length: 7,
            min: None,
            max: None,
            choices: Vec::new(),
            group: "Hơn nữa".to_owned(),
            step: None,
            unit: String::new(),
        };
        let choice = |value: &str, label: &str| Choice {
            value: value.to_owned(),
            label: label.to_owned(),
        };
        vec![
            variable("s", VariableType::String, Some(json!("a\nb"))),
            Variable {
                max: Some(1e9),
                step: Some(0.5),
                unit: "%".to_owned(),
                ..variable("i", VariableType::Integer, Some(json!(-3)))
            },
            Variable {
                min: Some(bound.abs().min(1e8)),
                ..variable("n", VariableType::Number, None)
            },
            variable("b", VariableType::Boolean, Some(json!(false))),
            Variable {
                choices: vec![choice("Huế", ""), choice("'\"", "Hà Nội")],
                ..variable("e", VariableType::Enum, Some(json!("Huế")))
            },
        ]
    }

    fn template() -> impl Strategy<Value = TemplateDraft> {
        let window = prop::option::of(0..4_000_000_000_000_000_i64);
        (
            text(),
            text(),
            any::<bool>(),
            open_keys(),
            open_keys(),
            -50.0..50.0_f64,
            window,
        )
            .prop_map(|(prompt, label, is_active, style, extra, number, window)| {
                TemplateDraft {
                    feature_id: 0,
                    name: "t".to_owned(),
                    names: names(&label, [("e".to_owned(), translated("Huế"))]),
                    description: label.clone(),
                    data: TemplateData {
                        prompt,
                        negative_prompt: label.clone(),
                        variables: variables(&label, number),
                        defaults: GenerationInput {
                            seed: Some(7),
                            cfg_scale: Some(number.abs()),
                            lora_weights: Some([("style'.\"".to_owned(), number / 50.0)].into()),
                            output: OutputSettings {
                                aspect_ratio: Some("1:1".to_owned()),
                                ..OutputSettings::default()
                            },
                            extra: extra.clone(),
                            ..GenerationInput::default()
                        },
                        style,
                        extra,
                    },
                    preview_media_id: None,
                    preview_url: String::new(),
                    tags: vec!["Tết".to_owned(), "a, \"b\"".to_owned()],
                    is_active,
                    order_index: 3,
                    trend_start: window.and_then(DateTime::from_timestamp_micros),
                    trend_end: None,
                }
            })
    }

    proptest! {
        #[test]
        fn any_catalogue_comes_back_from_its_file(feature in feature(), template in template()) {
            let catalogue = Catalogue {
                features: vec![CatalogueFeature { feature, templates: vec![template] }],
            };
            let written = catalogue.to_toml().unwrap_or_default();
            let again = read(&written);
            prop_assert_eq!(&again, &catalogue);
            prop_assert_eq!(again.to_toml().unwrap_or_default(), written);
        }
    }
}
