//! Reads a file as drafts. Everything that is wrong with it is told at once, under its place in the file.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use toml::Table;

use crate::domain::{
    Checks, Error, FeatureDraft, FeatureProperties, GenerationInput, JsonMap, MediaType, Named,
    Names, OutputSettings, TemplateData, TemplateDraft, Variable, VariableType, Violations,
    storable_time,
};

use super::{
    Catalogue, CatalogueFeature,
    value::{join, to_map},
};
use crate::domain::spelling::{hint, nearest};

/// What the API calls a key otherwise than the file, which uses the names of the database.
const RENAMED: [(&str, &str); 9] = [
    ("lora_weights.weights", "lora_weights"),
    ("trend_start_time", "trend_start_date"),
    ("trend_end_time", "trend_end_date"),
    ("properties.max_duration_seconds", "properties.max_duration"),
    ("properties.extra", "properties"),
    (
        "template_data.defaults.variations",
        "template_data.defaults.batch_size",
    ),
    ("template_data.defaults.extra", "template_data.defaults"),
    ("template_data.extra", "template_data"),
    ("default_value", "default"),
];

impl Catalogue {
    /// The catalogue in a file, checked like what a client sends.
    ///
    /// # Errors
    /// [`Error::Validation`] with every key that is unknown, missing, of a wrong type or against the rules.
    pub fn read(toml: &str) -> Result<Self, Error> {
        let mut checks = Checks::default();
        let table: Table = match toml::from_str(toml) {
            Ok(table) => table,
            Err(error) => {
                let place = error.span().map_or(0, |span| span.start);
                checks.add(position(toml, place), error.message().trim().to_owned());
                return checks.finish(Self::default());
            }
        };
        let map = to_map(table, "", &mut checks);
        let mut file = Reader::new(String::new(), map);
        let features = file.required_tables("features", &mut checks);
        file.finish(&mut checks);
        let features = features.into_iter();
        let features: Vec<_> = features
            .map(|feature| read_feature(feature, &mut checks))
            .collect();
        let names = features.iter().map(|feature| &*feature.feature.name);
        check_names("features", names, &mut checks);
        checks.finish(Self { features })
    }
}

fn position(text: &str, place: usize) -> String {
    let before = &text[..text.floor_char_boundary(place)];
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    format!("line {line}, column {column}")
}

/// No two entries of a list may have the same name.
fn check_names<'a>(path: &str, names: impl Iterator<Item = &'a str>, checks: &mut Checks) {
    let mut seen = BTreeMap::new();
    for (index, name) in names.enumerate() {
        let first = *seen.entry(name).or_insert(index);
        checks.require(first == index, &format!("{path}[{index}].name"), || {
            format!("must be unique, {name:?} is the name of {path}[{first}]")
        });
    }
}

fn read_feature(mut table: Reader, checks: &mut Checks) -> CatalogueFeature {
    let path = table.path.clone();
    let properties = table.table("properties", checks);
    let Named { names, rest } = read_open::<Named<FeatureProperties>>(properties, checks);
    let feature = FeatureDraft {
        name: table.optional("name", checks),
        names,
        description: table.optional("description", checks),
        category: table.required_as::<MediaType>("category", checks),
        system_prompt: table.optional("system_prompt", checks),
        properties: rest,
        preview_url: table.optional("preview_url", checks),
        preview_media_id: None,
        icon_url: table.optional("icon_url", checks),
        is_active: table.optional_or("is_active", true, checks),
        order_index: table.optional("order_index", checks),
    };
    let templates = table.tables("templates", checks);
    table.finish(checks);
    tell_in_file(&path, check_feature(&feature), checks);
    let templates = templates.into_iter();
    let templates: Vec<_> = templates
        .map(|template| read_template(template, &feature, checks))
        .collect();
    let names = templates.iter().map(|template| &*template.name);
    check_names(&format!("{path}.templates"), names, checks);
    CatalogueFeature { feature, templates }
}

/// What is wrong with a feature. One without a category, which has been told, is checked as far as that goes.
fn check_feature(feature: &FeatureDraft) -> Violations {
    let mut judged = feature.clone();
    if judged.category.is_none() {
        judged.category = Some(MediaType::Image);
        judged.properties.formats.clear();
    }
    match judged.check(Checks::default()) {
        Err(Error::Validation(violations)) => violations,
        _ => Violations::default(),
    }
}

fn read_template(mut table: Reader, feature: &FeatureDraft, checks: &mut Checks) -> TemplateDraft {
    let data = table.required_table("template_data", checks);
    let Named { names, rest } = read_data(data, checks);
    let template = TemplateDraft {
        feature_id: 0,
        name: table.optional("name", checks),
        names,
        description: table.optional("description", checks),
        data: rest,
        preview_url: table.optional("preview_url", checks),
        preview_media_id: None,
        tags: table.optional("tags", checks),
        is_active: table.optional_or("is_active", true, checks),
        order_index: table.optional("order_index", checks),
        trend_start: table.optional_time("trend_start_date", checks),
        trend_end: table.optional_time("trend_end_date", checks),
    };
    let path = table.path.clone();
    table.finish(checks);
    let category = feature.category.unwrap_or(MediaType::Image);
    let mut own = Checks::default();
    template.check(&feature.properties, category, &mut own);
    tell_in_file(&path, own.into_violations(), checks);
    template
}

fn read_data(mut table: Reader, checks: &mut Checks) -> Named<TemplateData> {
    let variables = table.tables("variables", checks);
    let defaults = table.table("defaults", checks);
    let Named { names, rest } = read_open::<Named<TemplateData>>(table, checks);
    let rest = TemplateData {
        variables: variables
            .into_iter()
            .map(|variable| read_variable(variable, checks))
            .collect(),
        defaults: read_defaults(defaults, checks),
        ..rest
    };
    Named { names, rest }
}

fn read_variable(mut table: Reader, checks: &mut Checks) -> Variable {
    // A type that is missing has been told; the others then make no second mistake of it.
    let kind = table
        .required_as("type", checks)
        .unwrap_or(VariableType::String);
    let name = table.optional("name", checks);
    let label = table.optional("label", checks);
    let description = table.optional("description", checks);
    let placeholder = table.optional("placeholder", checks);
    let default = table.optional("default", checks);
    let required = table.optional("required", checks);
    let max_length = table.optional("max_length", checks);
    let (min, max) = (table.optional("min", checks), table.optional("max", checks));
    let choices = table.optional("choices", checks);
    let (group, unit) = (
        table.optional("group", checks),
        table.optional("unit", checks),
    );
    let step = table.optional("step", checks);
    table.finish(checks);
    Variable {
        name,
        kind,
        label,
        description,
        placeholder,
        default,
        required,
        max_length,
        min,
        max,
        choices,
        group,
        step,
        unit,
    }
}

fn read_defaults(mut table: Reader, checks: &mut Checks) -> GenerationInput {
    let mut output = table.table("output", checks);
    let settings = OutputSettings {
        format: output.optional("format", checks),
        aspect_ratio: output.optional("aspect_ratio", checks),
        width: output.optional("width", checks),
        height: output.optional("height", checks),
        duration_seconds: output.optional("duration_seconds", checks),
        formats: output.optional("formats", checks),
    };
    output.finish(checks);
    GenerationInput {
        output: settings,
        ..read_open(table, checks)
    }
}

/// A table that may hold any key beside the known ones, all of which are optional. What cannot be read is told and left out.
fn read_open<T: DeserializeOwned + Default>(table: Reader, checks: &mut Checks) -> T {
    let readable = |key: &str, value: &Json| {
        let alone = JsonMap::from_iter([(key.to_owned(), value.clone())]);
        T::deserialize(Json::Object(alone)).map(|_| ())
    };
    let mut kept = JsonMap::new();
    for (key, value) in table.map {
        match readable(&key, &value) {
            Ok(()) => {
                kept.insert(key, value);
            }
            Err(error) => checks.add(join(&table.path, &key), error.to_string()),
        }
    }
    T::deserialize(Json::Object(kept)).unwrap_or_default()
}

/// Adds the violations of a draft under its place in the file, by the names that the file has for its keys.
pub fn tell_in_file(path: &str, found: Violations, checks: &mut Checks) {
    let column = if path.contains(".templates[") {
        "template_data"
    } else {
        "properties"
    };
    checks.extend(found.rename(|field| {
        let of_names = Names::KEYS.iter().any(|key| field.starts_with(key));
        let field = if of_names {
            join(column, field)
        } else {
            field.to_owned()
        };
        let renamed = RENAMED.iter();
        let field = renamed.fold(field, |field, (from, to)| field.replace(from, to));
        join(path, &field)
    }));
}

/// A table of the file. What nobody has taken from it in the end is unknown.
struct Reader {
    path: String,
    map: JsonMap,
    /// Every key that was asked for.
    known: Vec<&'static str>,
}

impl Reader {
    fn new(path: String, map: JsonMap) -> Self {
        let known = Vec::new();
        Self { path, map, known }
    }

    fn take(&mut self, key: &'static str) -> Option<Json> {
        self.known.push(key);
        self.map.remove(key)
    }

    /// The value; nothing if there is none or it cannot be read, which is told.
    fn optional_as<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        checks: &mut Checks,
    ) -> Option<T> {
        let value = self.take(key)?;
        let read = T::deserialize(value);
        read.map_err(|error| checks.add(join(&self.path, key), error.to_string()))
            .ok()
    }

    fn required_as<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        checks: &mut Checks,
    ) -> Option<T> {
        let missing = !self.map.contains_key(key);
        checks.require(!missing, &join(&self.path, key), || {
            "is required".to_owned()
        });
        self.optional_as(key, checks)
    }

    fn optional_or<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        default: T,
        checks: &mut Checks,
    ) -> T {
        self.optional_as(key, checks).unwrap_or(default)
    }

    fn optional<T: DeserializeOwned + Default>(
        &mut self,
        key: &'static str,
        checks: &mut Checks,
    ) -> T {
        self.optional_as(key, checks).unwrap_or_default()
    }

    /// A time as databases keep it.
    fn optional_time(&mut self, key: &'static str, checks: &mut Checks) -> Option<DateTime<Utc>> {
        let time: DateTime<Utc> = self.optional_as(key, checks)?;
        let storable = storable_time(time.timestamp(), time.timestamp_subsec_nanos());
        checks.require(storable.is_some(), &join(&self.path, key), || {
            "must lie in the years 1 to 9999".to_owned()
        });
        storable
    }

    fn required<T: DeserializeOwned + Default>(
        &mut self,
        key: &'static str,
        checks: &mut Checks,
    ) -> T {
        self.required_as(key, checks).unwrap_or_default()
    }

    /// A table in this one; empty if there is none.
    fn table(&mut self, key: &'static str, checks: &mut Checks) -> Self {
        Self::new(join(&self.path, key), self.optional(key, checks))
    }

    fn required_table(&mut self, key: &'static str, checks: &mut Checks) -> Self {
        Self::new(join(&self.path, key), self.required(key, checks))
    }

    /// A list of tables; empty if there is none.
    fn tables(&mut self, key: &'static str, checks: &mut Checks) -> Vec<Self> {
        let items = self.optional(key, checks);
        self.tables_of(key, items, checks)
    }

    fn required_tables(&mut self, key: &'static str, checks: &mut Checks) -> Vec<Self> {
        let items = self.required(key, checks);
        self.tables_of(key, items, checks)
    }

    fn tables_of(&self, key: &str, items: Vec<Json>, checks: &mut Checks) -> Vec<Self> {
        let path = join(&self.path, key);
        let tables = items.into_iter().enumerate().filter_map(|(index, item)| {
            let path = format!("{path}[{index}]");
            match item {
                Json::Object(map) => Some(Self::new(path, map)),
                _ => {
                    checks.add(path, "must be a table");
                    None
                }
            }
        });
        tables.collect()
    }

    /// Tells the keys that nobody has asked for.
    fn finish(self, checks: &mut Checks) {
        for key in self.map.keys() {
            let hint = hint(nearest(key, self.known.iter().copied()).as_deref());
            checks.add(
                join(&self.path, key),
                format!("is not a key of a catalogue{hint}"),
            );
        }
    }
}
