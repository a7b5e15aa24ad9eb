//! What may be said of a template, and the prompt that it makes, see docs/domain.md#data-of-a-template.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use codec::Format;
use serde::{Deserialize, Serialize};

use super::{
    Checks, FeatureProperties, Flaw, GenerationInput, JsonMap, MediaType, Names, OutputSettings,
    Problem, Variable, VariableType, feature::MAX_BATCH_SIZE, prompt, stored::OpenEnded,
};

/// Most variables of a template.
pub const MAX_VARIABLES: usize = 64;
const MAX_PROMPT_CHARS: usize = 20_000;
const MAX_TAGS: usize = 32;

/// `generation_templates.template_data` (docs/domain.md#data-of-a-template): the keys that Atelier knows, and the others as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TemplateData {
    /// A template over `user_prompt` and the variables, at most 20,000 characters; empty: the user's prompt as it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prompt: String,
    /// What the output should not show unless the request says otherwise, at most 4,000 characters.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub negative_prompt: String,
    /// In the order in which a form asks for them; at most 64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
    /// Inputs that hold unless the request sets them, within the feature's limits.
    pub defaults: GenerationInput,
    /// What the provider reads beside the prompt, within the bounds of [`Checks::json`].
    #[serde(
        deserialize_with = "super::stored::style",
        skip_serializing_if = "JsonMap::is_empty"
    )]
    pub style: JsonMap,
    /// Keys that Atelier does not know, within the same bounds.
    #[serde(flatten)]
    pub extra: JsonMap,
}

impl OpenEnded for TemplateData {
    fn of_unknown(extra: JsonMap) -> Self {
        Self {
            extra,
            ..Self::default()
        }
    }
}

impl TemplateData {
    const KNOWN: [&'static str; 5] = [
        "prompt",
        "negative_prompt",
        "variables",
        "defaults",
        "style",
    ];

    /// The inputs that hold unless a request sets them, as far as the feature allows them: it may have changed since the
    /// template was written.
    pub fn input_defaults(
        &self,
        properties: &FeatureProperties,
        category: MediaType,
    ) -> GenerationInput {
        let own = GenerationInput {
            negative_prompt: Some(self.negative_prompt.clone()),
            ..GenerationInput::default()
        };
        let mut defaults = own
            .without_empty()
            .or(&self.defaults.clone().without_empty());
        defaults.output = defaults.output.allowed(properties, category);
        defaults.batch_size = defaults.batch_size.min(most_variations(properties));
        defaults
    }

    /// What a request gets where it asks for nothing: these defaults, and the feature's where there are none. The second is
    /// its size in pixels, which is not among the inputs: so the ratio can be changed alone.
    pub fn effective_defaults(
        &self,
        properties: &FeatureProperties,
        category: MediaType,
    ) -> (GenerationInput, (u32, u32)) {
        let defaults = self.input_defaults(properties, category);
        let form = defaults
            .output
            .resolve("", properties, category, &mut Checks::default());
        let inputs = GenerationInput {
            batch_size: defaults.batch_size.max(1),
            output: OutputSettings {
                format: form.format.map(|format| format.to_string()),
                aspect_ratio: form.aspect_ratio.map(|ratio| ratio.to_string()),
                formats: form.formats.iter().map(Format::to_string).collect(),
                duration_seconds: defaults.output.duration_seconds,
                ..OutputSettings::default()
            },
            ..defaults
        };
        (inputs, (form.width, form.height))
    }

    /// The values of all variables and the prompt that they make, `None` when the template leaves the user's as it is.
    /// Problems go to `checks`: those with the values under `path`, one with the template under `template_id`.
    pub fn fill(
        &self,
        given: &JsonMap,
        user_prompt: &str,
        path: &str,
        checks: &mut Checks,
    ) -> (JsonMap, Option<String>) {
        let mut found = Checks::default();
        let variables = self.resolve_variables(given, path, &mut found);
        let violations = found.into_violations();
        let complete = violations.is_empty();
        checks.extend(violations);
        if !complete {
            return (variables, None);
        }
        let rendered = self.render(&variables, user_prompt).map_err(|problem| {
            let words = format!("the template's prompt {problem}");
            checks.add("template_id", Flaw::Malformed.says(words));
        });
        (variables, rendered.ok().flatten())
    }

    /// The value of every variable: the given one, or the default. Problems go to `checks` under `path`.
    pub fn resolve_variables(&self, given: &JsonMap, path: &str, checks: &mut Checks) -> JsonMap {
        for name in given.keys() {
            checks.require(
                self.variables.iter().any(|v| v.name == *name),
                &format!("{path}.{name}"),
                || {
                    if self.variables.is_empty() {
                        let words = "must be left out: the template has no variables";
                        return Flaw::UnknownName.says(words);
                    }
                    let names: Vec<_> = self.variables.iter().map(|v| v.name.clone()).collect();
                    let words = format!(
                        "is not a variable of the template, which has {}",
                        super::feature::list(&names)
                    );
                    Flaw::UnknownName.says(words).allowed(names)
                },
            );
        }
        let resolve = |variable: &Variable| {
            let field = format!("{path}.{}", variable.name);
            let value = variable.resolve(given.get(&variable.name));
            match value {
                Ok(value) => Some((variable.name.clone(), value)),
                Err(expected) => {
                    checks.add(field, expected);
                    None
                }
            }
        };
        self.variables.iter().filter_map(resolve).collect()
    }

    /// Values for the variables that a request must give, to show what the template makes.
    pub fn examples(&self, words: &str) -> JsonMap {
        let variables = self.variables.iter();
        let needed = variables.filter(|variable| variable.required && variable.default.is_none());
        needed
            .map(|variable| (variable.name.clone(), variable.example(words)))
            .collect()
    }

    /// The variables that take a picture.
    pub fn pictures(&self) -> impl Iterator<Item = &Variable> {
        let variables = self.variables.iter();
        variables.filter(|variable| variable.kind == VariableType::Picture)
    }

    /// The prompt that these variables make; `None` when the template leaves the user's prompt as it is.
    pub fn render(&self, variables: &JsonMap, user_prompt: &str) -> Result<Option<String>, String> {
        if self.prompt.is_empty() {
            return Ok(None);
        }
        prompt::render(&self.prompt, variables, user_prompt).map(Some)
    }

    /// Whether a template like this could be written for such a feature.
    pub fn fits(&self, properties: &FeatureProperties, category: MediaType) -> bool {
        let mut checks = Checks::default();
        self.check(properties, category, &mut checks);
        checks.is_empty()
    }

    /// Every violation of the data's own rules and of the feature's limits.
    pub fn check(&self, properties: &FeatureProperties, category: MediaType, checks: &mut Checks) {
        checks.text("template_data.prompt", &self.prompt, MAX_PROMPT_CHARS);
        checks.text(
            "template_data.negative_prompt",
            &self.negative_prompt,
            4_000,
        );
        self.check_variables(checks);
        self.check_prompt(checks);
        checks.json("template_data.style", &self.style);
        checks.json("template_data.extra", &self.extra);
        for key in Self::KNOWN
            .iter()
            .chain(&Names::KEYS)
            .filter(|key| self.extra.contains_key(**key))
        {
            checks.add(
                format!("template_data.extra.{key}"),
                Flaw::Conflict.says("is a field of its own; set it there"),
            );
        }
        self.defaults.check("template_data.defaults", checks);
        self.check_default_variations(properties, checks);
        checks.require(
            self.defaults.variables.is_empty(),
            "template_data.defaults.variables",
            || Flaw::NotSupported.says("must be empty: a variable has its own default"),
        );
        checks.require(
            self.defaults.mask_url.as_ref().is_none_or(String::is_empty),
            "template_data.defaults.mask_url",
            || Flaw::NotSupported.says("must be empty: a mask is one of a request's picture"),
        );
        self.defaults.output.resolve(
            "template_data.defaults.output",
            properties,
            category,
            checks,
        );
    }

    /// A default that no request could keep would be blamed on requests.
    fn check_default_variations(&self, properties: &FeatureProperties, checks: &mut Checks) {
        let (asked, most) = (self.defaults.batch_size, most_variations(properties));
        checks.require(asked <= most, "template_data.defaults.variations", || {
            let words = format!("must be at most {most} for this feature, got {asked}");
            Flaw::OutOfRange.says(words).max(most).found(asked)
        });
    }

    fn check_variables(&self, checks: &mut Checks) {
        let count = self.variables.len();
        if !checks.count("template_data.variables", count, MAX_VARIABLES) {
            return;
        }
        let mut names = BTreeSet::new();
        for (index, variable) in self.variables.iter().enumerate() {
            let path = format!("template_data.variables[{index}]");
            checks.require(
                names.insert(&variable.name),
                &format!("{path}.name"),
                || Problem::duplicate(&variable.name),
            );
            variable.check(&path, checks);
        }
    }

    /// Only of a template whose size is within its bounds, since every name is looked up.
    fn check_prompt(&self, checks: &mut Checks) {
        if self.variables.len() > MAX_VARIABLES || self.prompt.chars().count() > MAX_PROMPT_CHARS {
            return;
        }
        match prompt::variables(&self.prompt) {
            Err(problem) => checks.add("template_data.prompt", Flaw::Malformed.says(problem)),
            Ok(named) => {
                let declared = |name: &str| {
                    name == prompt::USER_PROMPT || self.variables.iter().any(|v| v.name == name)
                };
                for name in named.iter().filter(|name| !declared(name)) {
                    checks.add(
                        "template_data.prompt",
                        Flaw::UnknownName
                            .says(format!("names {name:?}, which is not among the variables"))
                            .found(name),
                    );
                }
            }
        }
    }
}

fn most_variations(properties: &FeatureProperties) -> i32 {
    let most = match properties.max_batch_size {
        0 => MAX_BATCH_SIZE,
        most => most,
    };
    i32::try_from(most).unwrap_or(i32::MAX)
}

/// What a client may say of a template.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateDraft {
    /// The feature that it belongs to, whose limits hold.
    pub feature_id: i64,
    /// Unique among the feature's live templates; see [`Checks::name`].
    pub name: String,
    /// What people read, in several languages.
    pub names: Names,
    /// For a person, at most 2,000 characters; empty if there is none.
    pub description: String,
    /// The style.
    pub data: TemplateData,
    /// A picture or clip that shows it; empty if there is none.
    pub preview_url: String,
    /// A media of the system user that shows it, see docs/domain.md#previews.
    pub preview_media_id: Option<i64>,
    /// Words to filter by, see [`check_tags`].
    pub tags: Vec<String>,
    /// Whether requests may use it.
    pub is_active: bool,
    /// Position within the feature, lower first; equal ones go by id.
    pub order_index: i32,
    /// The window in which it is trending whatever its popularity.
    pub trend_start: Option<DateTime<Utc>>,
    /// The end of that window, itself not part of it. `None` on one side: open; on both: no window.
    pub trend_end: Option<DateTime<Utc>>,
}

impl TemplateDraft {
    /// Every violation of the template's own rules and of its feature's limits.
    pub fn check(&self, properties: &FeatureProperties, category: MediaType, checks: &mut Checks) {
        checks.name("name", &self.name);
        self.names.check(&self.data.variables, checks);
        checks.text("description", &self.description, 2_000);
        checks.optional_url("preview_url", &self.preview_url);
        check_tags("tags", &self.tags, checks);
        checks.order_index("order_index", self.order_index);
        if let (Some(start), Some(end)) = (self.trend_start, self.trend_end) {
            checks.require(start < end, "trend_end_time", || {
                Flaw::OutOfRange.says(format!(
                    "must be after trend_start_time, got {end} with a start at {start}"
                ))
            });
        }
        self.data.check(properties, category, checks);
    }
}

/// Tags of a template or of a filter.
pub fn check_tags(list: &str, tags: &[String], checks: &mut Checks) {
    if !checks.count(list, tags.len(), MAX_TAGS) {
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, tag) in tags.iter().enumerate() {
        let field = format!("{list}[{index}]");
        checks.line(&field, tag, 64);
        checks.require(!tag.trim().is_empty(), &field, || {
            Flaw::Required.says("must not be empty")
        });
        checks.require(seen.insert(tag), &field, || Problem::duplicate(tag));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn template(data: &Value) -> TemplateData {
        serde_json::from_value(data.clone()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn sale() -> TemplateData {
        template(&json!({
            "prompt": "{{ user_prompt }} {{ percent }}% {{ city }}",
            "variables": [
                { "name": "percent", "type": "integer", "min": 1, "max": 90, "default": 10 },
                { "name": "city", "type": "enum", "choices": ["Hà Nội", "Huế"], "required": true },
                { "name": "note", "type": "string", "max_length": 3 },
            ],
            "house": "kept",
        }))
    }

    fn resolve(given: &Value) -> Result<JsonMap, Vec<String>> {
        let mut checks = Checks::default();
        let given = given.as_object().cloned().unwrap_or_default();
        let values = sale().resolve_variables(&given, "input.variables", &mut checks);
        let fields: Vec<_> = checks
            .into_violations()
            .into_iter()
            .map(|v| v.field)
            .collect();
        if fields.is_empty() {
            Ok(values)
        } else {
            Err(fields)
        }
    }

    #[test]
    fn given_values_and_defaults_fill_the_prompt() {
        let values =
            resolve(&json!({ "city": "Huế" })).unwrap_or_else(|fields| panic!("{fields:?}"));
        assert_eq!(
            sale().render(&values, "Giảm"),
            Ok(Some("Giảm 10% Huế".to_owned()))
        );
    }

    #[test]
    fn wrong_missing_and_unknown_variables_are_all_named() {
        assert_eq!(
            resolve(&json!({ "percent": 91.0, "note": "long", "colour": "red" })),
            Err([
                "input.variables.colour",
                "input.variables.percent",
                "input.variables.city",
                "input.variables.note"
            ]
            .map(str::to_owned)
            .to_vec())
        );
    }

    #[test]
    fn a_whole_number_that_came_as_a_double_prints_without_a_point() {
        let values = resolve(&json!({ "percent": 50.0, "city": "Huế" })).unwrap_or_default();
        assert_eq!(values["percent"], json!(50));
        assert!(resolve(&json!({ "percent": 50.5, "city": "Huế" })).is_err());
    }

    #[test]
    fn a_prompt_that_names_an_unknown_variable_is_refused_when_the_template_is_written() {
        let draft = TemplateDraft {
            feature_id: 1,
            name: "sale".to_owned(),
            names: Names::default(),
            description: String::new(),
            data: template(&json!({ "prompt": "{{ nobody }} {{ user_prompt }}" })),
            preview_url: String::new(),
            preview_media_id: None,
            tags: vec!["a".to_owned(), "a".to_owned()],
            is_active: true,
            order_index: 0,
            trend_start: None,
            trend_end: None,
        };
        let mut checks = Checks::default();
        draft.check(&FeatureProperties::default(), MediaType::Image, &mut checks);
        let violations = checks.into_violations();
        let fields: Vec<_> = violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["tags[1]", "template_data.prompt"]);
    }

    #[test]
    fn unknown_keys_of_template_data_survive() {
        assert_eq!(sale().extra["house"], json!("kept"));
    }

    #[test]
    fn too_many_tags_are_one_violation_and_not_looked_into() {
        let mut checks = Checks::default();
        check_tags("tags", &vec![String::new(); 100_000], &mut checks);
        let violations = checks.into_violations();
        assert_eq!(violations.count(), 1);
        assert!(violations.iter().all(|violation| violation.field == "tags"));
    }
}
