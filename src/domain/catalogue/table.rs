//! Drafts as the tables of a file, to write them and to see in what two of them differ.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use toml::{Table, Value as Toml, value::Datetime};

use crate::domain::{Error, FeatureDraft, MediaType, Names, TemplateDraft};

use super::{Catalogue, CatalogueFeature, value::to_table};

/// The columns whose keys are compared one by one. A time is a table too, to the serializer.
const OPEN: [&str; 2] = ["properties", "template_data"];

/// The keys in the order in which a person reads them; what is not set is left out.
#[derive(Serialize)]
struct FeatureTable<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    category: Option<MediaType>,
    #[serde(skip_serializing_if = "str::is_empty")]
    system_prompt: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    preview_url: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    icon_url: &'a str,
    is_active: bool,
    order_index: i32,
    #[serde(skip_serializing_if = "Table::is_empty")]
    properties: Table,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    templates: Vec<TemplateTable<'a>>,
}

#[derive(Serialize)]
struct TemplateTable<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    preview_url: &'a str,
    is_active: bool,
    order_index: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    trend_start_date: Option<Datetime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trend_end_date: Option<Datetime>,
    template_data: Table,
}

#[derive(Serialize)]
struct CatalogueTable<'a> {
    features: Vec<FeatureTable<'a>>,
}

impl<'a> FeatureTable<'a> {
    fn of(feature: &'a FeatureDraft, templates: Vec<TemplateTable<'a>>) -> Result<Self, Error> {
        Ok(Self {
            name: &feature.name,
            description: &feature.description,
            category: feature.category,
            system_prompt: &feature.system_prompt,
            preview_url: &feature.preview_url,
            icon_url: &feature.icon_url,
            is_active: feature.is_active,
            order_index: feature.order_index,
            properties: table_of(&feature.names, &feature.properties)?,
            templates,
        })
    }
}

impl<'a> TemplateTable<'a> {
    fn of(template: &'a TemplateDraft) -> Result<Self, Error> {
        let mut data = table_of(&template.names, &template.data)?;
        // Written even if nothing is set in them.
        if data
            .get("defaults")
            .and_then(Toml::as_table)
            .is_some_and(Table::is_empty)
        {
            data.remove("defaults");
        }
        Ok(Self {
            name: &template.name,
            description: &template.description,
            tags: &template.tags,
            preview_url: &template.preview_url,
            is_active: template.is_active,
            order_index: template.order_index,
            trend_start_date: template.trend_start.map(datetime).transpose()?,
            trend_end_date: template.trend_end.map(datetime).transpose()?,
            template_data: data,
        })
    }
}

/// A time as TOML writes it; both databases keep microseconds.
fn datetime(time: DateTime<Utc>) -> Result<Datetime, Error> {
    let text = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    text.parse().map_err(Error::internal)
}

/// An open-ended column as a table.
fn table_of(names: &Names, rest: &impl Serialize) -> Result<Table, Error> {
    match names.stored_with(rest)? {
        serde_json::Value::Object(map) => Ok(to_table(&map)),
        _ => Err(Error::internal("an open-ended column is not an object")),
    }
}

impl Catalogue {
    /// The file that reads as this catalogue again.
    pub fn to_toml(&self) -> Result<String, Error> {
        let features = self.features.iter().map(CatalogueFeature::table);
        let features = features.collect::<Result<_, _>>()?;
        toml::to_string_pretty(&CatalogueTable { features }).map_err(Error::internal)
    }
}

impl CatalogueFeature {
    fn table(&self) -> Result<FeatureTable<'_>, Error> {
        let templates = self.templates.iter().map(TemplateTable::of);
        FeatureTable::of(&self.feature, templates.collect::<Result<_, _>>()?)
    }
}

/// The keys of the file, such as `properties.max_batch_size`, in which two features differ.
pub fn changed_feature_fields(
    before: &FeatureDraft,
    after: &FeatureDraft,
) -> Result<Vec<String>, Error> {
    let before = FeatureTable::of(before, Vec::new())?;
    changed_fields(&before, &FeatureTable::of(after, Vec::new())?)
}

/// The keys of the file, such as `template_data.prompt`, in which two templates differ.
pub fn changed_template_fields(
    before: &TemplateDraft,
    after: &TemplateDraft,
) -> Result<Vec<String>, Error> {
    changed_fields(&TemplateTable::of(before)?, &TemplateTable::of(after)?)
}

fn changed_fields(before: &impl Serialize, after: &impl Serialize) -> Result<Vec<String>, Error> {
    let before = Table::try_from(before).map_err(Error::internal)?;
    let after = Table::try_from(after).map_err(Error::internal)?;
    let mut changed = Vec::new();
    for key in differing_keys(&before, &after) {
        match (before.get(key), after.get(key)) {
            (Some(Toml::Table(before)), Some(Toml::Table(after))) if OPEN.contains(&key) => {
                let inner = differing_keys(before, after).into_iter();
                changed.extend(inner.map(|inner| format!("{key}.{inner}")));
            }
            _ => changed.push(key.to_owned()),
        }
    }
    Ok(changed)
}

fn differing_keys<'a>(before: &'a Table, after: &'a Table) -> BTreeSet<&'a str> {
    let keys = before.keys().chain(after.keys()).map(String::as_str);
    keys.filter(|key| !is_same_entry(before.get(*key), after.get(*key)))
        .collect()
}

fn is_same_entry(one: Option<&Toml>, other: Option<&Toml>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => is_same(one, other),
        (None, None) => true,
        _ => false,
    }
}

/// Whether two values are the same to a reader. A database may give a float back as a whole number, or off by its last bit.
fn is_same(one: &Toml, other: &Toml) -> bool {
    match (one, other) {
        (Toml::Table(one), Toml::Table(other)) => differing_keys(one, other).is_empty(),
        (Toml::Array(one), Toml::Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| is_same(one, other))
        }
        (Toml::Float(one), Toml::Float(other)) => is_close(*one, *other),
        (Toml::Float(float), Toml::Integer(whole)) | (Toml::Integer(whole), Toml::Float(float)) => {
            is_close(*float, *whole as f64)
        }
        _ => one == other,
    }
}

fn is_close(one: f64, other: f64) -> bool {
    one == other || (one - other).abs() <= 4.0 * f64::EPSILON * one.abs().max(other.abs())
}
