//! Features and templates for services, which come with this program: see docs/catalogue.md#starters-for-services.

use clap::builder::PossibleValuesParser;

use crate::{domain::Catalogue, provider::Registry};

/// By the kind of service or the profile that they are for.
const STARTERS: [(&str, &str); 5] = [
    ("openai", include_str!("../../../catalogue/openai.toml")),
    ("fal", include_str!("../../../catalogue/fal.toml")),
    (
        "replicate",
        include_str!("../../../catalogue/replicate.toml"),
    ),
    ("comfyui", include_str!("../../../catalogue/comfyui.toml")),
    ("sdapi", include_str!("../../../catalogue/sdapi.toml")),
];

pub(super) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(STARTERS.map(|(name, _)| name))
}

/// The text of a starter.
pub(super) fn text(name: &str) -> &'static str {
    let found = STARTERS.iter().find(|(starter, _)| *starter == name);
    found.map_or("", |(_, text)| text)
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
        let feature = &mut entry.feature;
        feature.name = format!("{provider}_{}", feature.name);
        feature.properties.provider = provider.to_owned();
        let made = feature
            .category
            .is_some_and(|category| maker.makes(category));
        if !made {
            left_out.push(feature.name.clone());
        }
        made
    });
    Some(left_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Error;

    #[test]
    fn every_starter_is_a_catalogue() {
        for (name, text) in STARTERS {
            match Catalogue::read(text) {
                Ok(catalogue) => assert!(!catalogue.features.is_empty(), "{name}"),
                Err(Error::Validation(violations)) => {
                    let told: Vec<_> = violations.iter().map(ToString::to_string).collect();
                    panic!("{name}: {told:#?}");
                }
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }
}
