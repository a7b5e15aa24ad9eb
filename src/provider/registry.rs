//! The providers of one process, and what they can run now.

use std::{collections::BTreeMap, sync::Arc};

use crate::domain::{MediaType, job::Capability};

use super::Provider;

/// The providers of this server, by name.
#[derive(Clone, Default)]
pub struct Registry {
    providers: BTreeMap<String, Arc<dyn Provider>>,
}

impl Registry {
    /// Adds a provider in the place of one of the same name.
    pub fn with(mut self, provider: impl Provider + 'static) -> Self {
        self.providers
            .insert(provider.name().to_owned(), Arc::new(provider));
        self
    }

    /// Those with one of these names.
    pub fn only(mut self, names: &[String]) -> Self {
        self.providers.retain(|name, _| names.contains(name));
        self
    }

    /// The provider of this name, if this process has it.
    pub fn get(&self, name: &str) -> Option<Arc<dyn Provider>> {
        self.providers.get(name).cloned()
    }

    /// What the providers can run of these types of media, or what they lack to.
    pub fn capabilities(&self, categories: &[MediaType]) -> Vec<(Capability, Result<(), String>)> {
        let mut capabilities = Vec::new();
        for (name, provider) in &self.providers {
            let made = categories
                .iter()
                .filter(|category| provider.makes(**category));
            let mut ready = None;
            for category in made {
                let ready = ready.get_or_insert_with(|| provider.ready());
                let capability = Capability {
                    provider: name.clone(),
                    category: *category,
                };
                capabilities.push((capability, ready.clone()));
            }
        }
        capabilities
    }

    /// The providers that cannot work here, with what they lack.
    pub fn missing(&self) -> impl Iterator<Item = (&str, String)> {
        let missing = |provider: &Arc<dyn Provider>| provider.ready().err();
        let providers = self.providers.iter();
        providers.filter_map(move |(name, provider)| Some((name.as_str(), missing(provider)?)))
    }

    /// In the order of the alphabet.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.providers.keys().map(String::as_str)
    }
}
