//! Features and templates for services, which come with this program: see docs/catalogue.md#starters-for-services.

use std::sync::LazyLock;

use clap::builder::PossibleValuesParser;
use toml::{Table, Value};

use crate::{
    domain::{Catalogue, CatalogueFeature, TemplateDraft, VariableType, profile::lay_over},
    provider::{Preset, Provider, Registry},
};

/// What services make, with templates that fit them all.
const SHARED: &str = include_str!("../../../catalogue/services.toml");

/// What each service makes of that, by the kind of service or the profile.
static SERVICES: LazyLock<Table> =
    LazyLock::new(|| table(include_str!("../../../catalogue/starters.toml")));

/// Those with features of their own, by kind.
const OWN: [(&str, &str); 2] = [
    ("exec", include_str!("../../../catalogue/exec.toml")),
    ("voice", include_str!("../../../catalogue/voice.toml")),
];

pub(super) fn names() -> PossibleValuesParser {
    let services = SERVICES.keys().map(String::as_str);
    PossibleValuesParser::new(services.chain(OWN.map(|(name, _)| name)))
}

/// The text of a starter.
pub(super) fn text(name: &str) -> String {
    match OWN.iter().find(|(own, _)| *own == name) {
        Some((_, text)) => (*text).to_owned(),
        None => offered(name).0.to_string(),
    }
}

/// The files are this program's own, and the tests read them all.
fn table(text: &str) -> Table {
    text.parse().unwrap_or_default()
}

/// The features of a service, and what its table says of features that there are not.
fn offered(service: &str) -> (Table, Table) {
    let mut catalogue = table(SHARED);
    let Some(Value::Table(mut offers)) = SERVICES.get(service).cloned() else {
        return Default::default();
    };
    if let Some(Value::Array(features)) = catalogue.get_mut("features") {
        features.retain_mut(|feature| is_offered(feature, &mut offers));
    }
    (catalogue, offers)
}

/// Lays over a feature what the service says of it.
fn is_offered(feature: &mut Value, offers: &mut Table) -> bool {
    let Value::Table(feature) = feature else {
        return false;
    };
    let name = feature.get("name").and_then(Value::as_str);
    let offer = name.and_then(|name| offers.remove(name));
    let Some(Value::Table(mut offer)) = offer else {
        return false;
    };
    if let Some(Value::Array(only)) = offer.remove("only")
        && let Some(Value::Array(templates)) = feature.get_mut("templates")
    {
        templates.retain(|template| template.get("name").is_some_and(|it| only.contains(it)));
    }
    lay_over(feature, offer);
    true
}

/// Makes the features those of a provider: each has its name in front. Returns those that it does not make here, which are left
/// out; `None` if there is no such provider.
pub(super) fn bind(
    catalogue: &mut Catalogue,
    provider: &str,
    providers: &Registry,
) -> Option<Vec<String>> {
    let maker = providers.get(provider)?;
    let mut left_out = Vec::new();
    catalogue.features.retain_mut(|entry| {
        entry.feature.name = format!("{provider}_{}", entry.feature.name);
        entry.feature.properties.provider = provider.to_owned();
        let made = fit(entry, &*maker);
        if !made {
            left_out.push(entry.feature.name.clone());
        }
        made
    });
    Some(left_out)
}

/// Takes out negative prompts that nobody reads, which every output would tell as ignored. False if the provider does not make the
/// feature.
fn fit(entry: &mut CatalogueFeature, maker: &dyn Provider) -> bool {
    let Some(category) = entry.feature.category else {
        return false;
    };
    let properties = &entry.feature.properties;
    let feature = Preset::of_feature(category, &properties.model, &properties.settings);
    let reads = |template: &TemplateDraft, input: &str| {
        maker.reads(feature.styled(&template.data.style), input)
    };
    for template in &mut entry.templates {
        if !reads(template, "negative_prompt") {
            template.data.negative_prompt.clear();
        }
    }
    let mut templates = entry.templates.iter();
    let takes_pictures = templates.any(|template| reads(template, "user_media_urls"));
    maker.makes(category) && (takes_pictures || !works_from_pictures(&entry.templates))
}

/// Whether a feature is for nothing else, by its templates.
fn works_from_pictures(templates: &[TemplateDraft]) -> bool {
    let wants = |template: &TemplateDraft| {
        let mut variables = template.data.variables.iter();
        variables.any(|it| it.required && it.kind == VariableType::Picture)
    };
    !templates.is_empty() && templates.iter().all(wants)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Error, profile::SHIPPED};

    #[test]
    fn every_starter_is_a_catalogue() {
        let services = SERVICES.keys().map(String::as_str);
        for name in services.chain(OWN.map(|(name, _)| name)) {
            match Catalogue::read(&text(name)) {
                Ok(catalogue) => assert!(!catalogue.features.is_empty(), "{name}"),
                Err(Error::Validation(violations)) => {
                    let told: Vec<_> = violations.iter().map(ToString::to_string).collect();
                    panic!("{name}: {told:#?}");
                }
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }

    #[test]
    fn a_service_speaks_of_features_and_templates_that_there_are() {
        for (service, offers) in SERVICES.iter() {
            assert_eq!(offered(service).1, Table::new(), "{service}");
            for (feature, offer) in offers.as_table().unwrap() {
                let Some(only) = offer.get("only") else {
                    continue;
                };
                let catalogue = Catalogue::read(&text(service)).unwrap();
                let mut features = catalogue.features.iter();
                let found = features.find(|it| it.feature.name == *feature).unwrap();
                let named = only.as_array().unwrap().len();
                assert_eq!(found.templates.len(), named, "{service}.{feature}");
            }
        }
    }

    #[test]
    fn every_profile_that_ships_has_a_starter_but_cog_whose_models_are_ones_own() {
        let without = SHIPPED.map(|(name, _)| name).into_iter();
        let without = without.filter(|name| !SERVICES.contains_key(*name));
        assert_eq!(without.collect::<Vec<_>>(), ["cog"]);
    }
}
