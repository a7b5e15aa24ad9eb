//! Who makes a job whose provider is away.

use serde::{Deserialize, Serialize};

use super::{Checks, Flaw, JobInput, JsonMap, check::is_in_name};

const MAX_FALLBACKS: usize = 4;

/// A provider that is asked while those before it are away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fallback {
    /// Its name, as `properties.provider`; required.
    pub provider: String,
    /// As `properties.model`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// As `properties.settings`.
    #[serde(skip_serializing_if = "JsonMap::is_empty")]
    pub settings: JsonMap,
}

/// The bounds of a feature's list, whose own provider is `first`.
pub(super) fn check(fallbacks: &[Fallback], first: &str, checks: &mut Checks) {
    let list = "properties.fallbacks";
    if !checks.count(list, fallbacks.len(), MAX_FALLBACKS) {
        return;
    }
    let mut seen = vec![first];
    for (index, fallback) in fallbacks.iter().enumerate() {
        let (field, name) = (format!("{list}[{index}]"), fallback.provider.as_str());
        let is_name = (1..=super::feature::MAX_PROVIDER_CHARS).contains(&name.len())
            && name.chars().all(is_in_name);
        checks.require(is_name, &format!("{field}.provider"), || {
            Flaw::Malformed.says("must have 1 to 64 characters of a-z, 0-9, \"_\" and \"-\"")
        });
        checks.require(!seen.contains(&name), &format!("{field}.provider"), || {
            let words =
                format!("must be another provider than those before it, {name:?} is there twice");
            Flaw::Duplicate.says(words).found(name)
        });
        seen.push(name);
        let most = super::feature::MAX_MODEL_CHARS;
        checks.line(&format!("{field}.model"), &fallback.model, most);
        checks.json(&format!("{field}.settings"), &fallback.settings);
    }
}

impl JobInput {
    /// The same for the next provider that operators have not paused, before which those come later that they have; for the next of
    /// all where they have paused all. `None` if there is no other.
    pub fn for_next_provider(&self, is_paused: impl Fn(&str) -> bool) -> Option<Self> {
        let mut rest = self.fallbacks.clone();
        let free = rest.iter().position(|next| !is_paused(&next.provider));
        let next = (!rest.is_empty()).then(|| rest.remove(free.unwrap_or_default()))?;
        Some(Self {
            provider: next.provider,
            model: Some(next.model).filter(|model| !model.is_empty()),
            settings: next.settings,
            fallbacks: rest,
            ..self.clone()
        })
    }

    /// All providers that may make it, in the order in which they are asked.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        let others = self.fallbacks.iter().map(|next| next.provider.as_str());
        std::iter::once(self.provider.as_str()).chain(others)
    }
}
