//! What is filled in. A value that is filled in stays one value, whoever it comes from.

use std::collections::BTreeMap;

use minijinja::{Environment, Value, context, value::Serde};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::domain::{JsonMap, command, prompt};

/// What a template of a call may name.
const NAMES: [&str; 30] = [
    "answer",
    "aspect_ratio",
    "attempt",
    "cfg_scale",
    "duration_seconds",
    "extra",
    "format",
    "frame_rate",
    "height",
    "instructed_prompt",
    "item",
    "job_id",
    "lora_weights",
    "media_type",
    "media_urls",
    "model",
    "model_name",
    "negative_prompt",
    "product_url",
    "prompt",
    "seed",
    "settings",
    "style",
    "submission_key",
    "system_prompt",
    "task_id",
    "user_prompt",
    "variables",
    "webhook_url",
    "width",
];

/// What a template of the credentials may name.
const NAMES_OF_AUTH: [&str; 9] = [
    "body_sha256",
    "key",
    "method",
    "now",
    "path",
    "query",
    "signature",
    "signature_base64",
    "token",
];

/// What stays as it is in a step of a path.
const STEP: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A text with values in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Text<const AUTH: bool = false>(String);

/// A path with values in it, each of which is one step of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Path(String);

/// JSON with values in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Json")]
pub enum Body<const AUTH: bool = false> {
    /// The value of an expression.
    Value(String),
    /// A text that is rendered.
    Text(String),
    /// What is the same always.
    Fixed(Json),
    /// A list.
    List(Vec<Self>),
    /// A table.
    Table {
        /// An expression; where it is empty, the table is not there.
        only_if: Option<String>,
        /// An expression; in a list the table is there once for each of its items.
        each: Option<String>,
        /// Its keys.
        entries: Vec<(String, Self)>,
    },
}

/// The values by their names.
#[derive(Clone, Debug, Default)]
pub struct Filler(JsonMap);

impl<const AUTH: bool> TryFrom<String> for Text<AUTH> {
    type Error = String;

    fn try_from(source: String) -> Result<Self, String> {
        check_text::<AUTH>(&source)?;
        Ok(Self(source))
    }
}

impl TryFrom<String> for Path {
    type Error = String;

    fn try_from(source: String) -> Result<Self, String> {
        check_text::<false>(&source)?;
        check_steps(&with_any_values(source.trim_start_matches('/')))?;
        Ok(Self(source))
    }
}

impl<const AUTH: bool> TryFrom<Json> for Body<AUTH> {
    type Error = String;

    fn try_from(json: Json) -> Result<Self, String> {
        Self::read(json, "")
    }
}

impl<const AUTH: bool> Text<AUTH> {
    /// The text.
    ///
    /// # Errors
    /// Why there is none.
    pub fn fill(&self, filler: &Filler) -> Result<String, String> {
        filler.text(&self.0)
    }
}

impl Path {
    /// The path, and its query.
    ///
    /// # Errors
    /// Why there is none: it may not leave its place.
    pub fn fill(&self, filler: &Filler) -> Result<(String, Option<String>), String> {
        let whole = filler.path(self.0.trim_start_matches('/'))?;
        let (path, query) = match whole.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (whole.as_str(), None),
        };
        check_steps(path)?;
        Ok((path.to_owned(), query))
    }

    /// Whether it names this.
    pub fn names(&self, name: &str) -> bool {
        let environment = command::environment();
        let parsed = environment.template_from_str(&self.0);
        parsed.is_ok_and(|parsed| parsed.undeclared_variables(false).contains(name))
    }
}

/// The source with a word in the place of each value: what is left is the profile's own.
fn with_any_values(source: &str) -> String {
    let mut parts = source.split("{{");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let behind = part.split_once("}}").map_or("", |(_, behind)| behind);
        text + "value" + behind
    })
}

/// Whether a path stays where it is put: it may not leave its place.
fn check_steps(path: &str) -> Result<(), String> {
    let path = path.split('?').next().unwrap_or_default();
    for step in path.split('/') {
        let plain = percent_decode_str(step).decode_utf8_lossy();
        if matches!(plain.as_ref(), "" | "." | "..") {
            return Err(format!(
                "the path {path:?} has a step that is empty, \".\" or \"..\""
            ));
        }
    }
    Ok(())
}

impl<const AUTH: bool> Body<AUTH> {
    /// `place` is where it stands in the whole.
    fn read(json: Json, place: &str) -> Result<Self, String> {
        let told = |wrong: String| match place {
            "" => wrong,
            place => format!("{place} {wrong}"),
        };
        Ok(match json {
            Json::String(text) => match whole_expression(&text) {
                Some(expression) => {
                    check_expression::<AUTH>(&expression).map_err(told)?;
                    Self::Value(expression)
                }
                None if text.contains('{') => {
                    check_text::<AUTH>(&text).map_err(told)?;
                    Self::Text(text)
                }
                None => Self::Fixed(Json::String(text)),
            },
            Json::Array(items) => {
                let items = items.into_iter().enumerate();
                let items =
                    items.map(|(index, item)| Self::read(item, &format!("{place}/{index}")));
                Self::List(items.collect::<Result<_, _>>()?)
            }
            Json::Object(mut entries) => {
                let mut special = |key: &str| {
                    let text = entries
                        .remove(key)
                        .map(|it| it.as_str().and_then(whole_expression));
                    text.map(|it| {
                        let it = it.ok_or_else(|| {
                            told(format!("{key} must be one {{{{ expression }}}}"))
                        })?;
                        check_expression::<AUTH>(&it).map_err(told).map(|()| it)
                    })
                    .transpose()
                };
                Self::Table {
                    only_if: special("$if")?,
                    each: special("$each")?,
                    entries: entries
                        .into_iter()
                        .map(|(key, item)| {
                            Ok((key.clone(), Self::read(item, &format!("{place}/{key}"))?))
                        })
                        .collect::<Result<_, String>>()?,
                }
            }
            json => Self::Fixed(json),
        })
    }

    /// What becomes of it; null if it is empty.
    ///
    /// # Errors
    /// Why there is nothing.
    pub fn fill(&self, filler: &Filler) -> Result<Json, String> {
        let filled = match self {
            Self::Value(expression) => filler.value(expression)?,
            Self::Text(text) => filler.text(text)?.into(),
            Self::Fixed(json) => json.clone(),
            Self::List(items) => {
                let mut list = Vec::new();
                for item in items {
                    item.fill_items(filler, &mut list)?;
                }
                Json::Array(list)
            }
            Self::Table {
                only_if, entries, ..
            } => {
                if let Some(only_if) = only_if
                    && matches!(filler.value(only_if)?, Json::Null | Json::Bool(false))
                {
                    return Ok(Json::Null);
                }
                let mut table = JsonMap::new();
                for (key, entry) in entries {
                    match entry.fill(filler)? {
                        Json::Null => {}
                        value => {
                            table.insert(key.clone(), value);
                        }
                    }
                }
                Json::Object(table)
            }
        };
        Ok(or_null(filled))
    }

    /// As an item of a list, of which there may be several.
    fn fill_items(&self, filler: &Filler, list: &mut Vec<Json>) -> Result<(), String> {
        let mut push = |filled| match filled {
            Json::Null => {}
            filled => list.push(filled),
        };
        let Self::Table {
            each: Some(each), ..
        } = self
        else {
            push(self.fill(filler)?);
            return Ok(());
        };
        if let Json::Array(items) = filler.value(each)? {
            for item in items {
                push(self.fill(&filler.clone().with("item", item))?);
            }
        }
        Ok(())
    }

    /// Adds fields with the values of these names.
    pub(super) fn extend(&mut self, fields: &BTreeMap<String, String>) {
        if let Self::Table { entries, .. } = self {
            let fields = fields.iter();
            entries.extend(fields.map(|(name, field)| (field.clone(), Self::Value(name.clone()))));
        }
    }

    /// Whether it names this.
    pub fn names(&self, name: &str) -> bool {
        let environment = command::environment();
        let in_expression = |source: &str| {
            let parsed = environment.compile_expression(source);
            parsed.is_ok_and(|parsed| parsed.undeclared_variables(false).contains(name))
        };
        match self {
            Self::Value(expression) => in_expression(expression),
            Self::Text(text) => Path(text.clone()).names(name),
            Self::Fixed(_) => false,
            Self::List(items) => items.iter().any(|item| item.names(name)),
            Self::Table {
                only_if,
                each,
                entries,
            } => {
                only_if.iter().chain(each).any(|it| in_expression(it))
                    || entries.iter().any(|(_, item)| item.names(name))
            }
        }
    }
}

impl Filler {
    /// With these values.
    pub fn new(values: JsonMap) -> Self {
        Self(values)
    }

    /// With one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    fn value(&self, expression: &str) -> Result<Json, String> {
        let environment = command::environment();
        let compiled = environment.compile_expression(expression);
        let value = compiled.and_then(|it| it.eval(Value::from(Serde(&self.0))));
        let value = value.map_err(|error| prompt::sentence(&error))?;
        serde_json::to_value(value)
            .map(or_null)
            .map_err(|error| error.to_string())
    }

    fn text(&self, source: &str) -> Result<String, String> {
        let rendered = command::environment().render_str(source, Value::from(Serde(&self.0)));
        rendered.map_err(|error| prompt::sentence(&error))
    }

    /// Every value becomes one step, and only the names that the operator and the service give may have several.
    fn path(&self, source: &str) -> Result<String, String> {
        let mut environment = command::environment();
        for filter in ["safe", "escape", "e"] {
            environment.remove_filter(filter);
        }
        environment.set_formatter(|out, _, value| {
            let text = match value {
                value if value.is_undefined() || value.is_none() => String::new(),
                value if value.is_safe() => value.to_string(),
                value => encoded(&value.to_string()),
            };
            out.write_str(&text).map_err(Into::into)
        });
        let steps = |name: &str| {
            let text = self.0.get(name).and_then(Json::as_str).unwrap_or_default();
            let steps: Vec<_> = text.split('/').map(encoded).collect();
            Value::from_safe_string(steps.join("/"))
        };
        let values = context! { model => steps("model"), task_id => steps("task_id"), ..Value::from(Serde(&self.0)) };
        environment
            .render_str(source, values)
            .map_err(|error| prompt::sentence(&error))
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, STEP).to_string()
}

fn or_null(json: Json) -> Json {
    let empty = match &json {
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(entries) => entries.is_empty(),
        _ => false,
    };
    if empty { Json::Null } else { json }
}

/// What stands between the braces, if there is nothing else.
fn whole_expression(text: &str) -> Option<String> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.trim();
    let one = !inner.is_empty()
        && (!inner.contains("}}") || command::environment().compile_expression(inner).is_ok());
    one.then(|| inner.to_owned())
}

fn check_text<const AUTH: bool>(source: &str) -> Result<(), String> {
    let environment = command::environment();
    let parsed = environment.template_from_str(source);
    let parsed = parsed.map_err(|error| prompt::sentence(&error))?;
    check_names::<AUTH>(&environment, parsed.undeclared_variables(false))
}

fn check_expression<const AUTH: bool>(source: &str) -> Result<(), String> {
    let environment = command::environment();
    let parsed = environment.compile_expression(source);
    let parsed = parsed.map_err(|error| prompt::sentence(&error))?;
    check_names::<AUTH>(&environment, parsed.undeclared_variables(false))
}

fn check_names<const AUTH: bool>(
    environment: &Environment<'_>,
    names: impl IntoIterator<Item = String>,
) -> Result<(), String> {
    let there: &[&str] = if AUTH { &NAMES_OF_AUTH } else { &NAMES };
    let unknown = names
        .into_iter()
        .filter(|name| !there.contains(&name.as_str()) && !command::is_function(environment, name));
    let mut unknown: Vec<_> = unknown.collect();
    unknown.sort_unstable();
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "names {}; there is {}",
            unknown.join(", "),
            there.join(", ")
        )),
    }
}
