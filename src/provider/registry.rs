//! The providers of one process, and what they can run now.

use std::{collections::BTreeMap, sync::Arc};

use tokio::time::Instant;

use crate::{
    config::ProviderLimits,
    domain::{MediaType, job::Capability},
};

use super::{
    Provider, Unready,
    gate::{Passage, SharedGate},
};

/// The providers of this server, by name.
#[derive(Clone, Default)]
pub struct Registry {
    providers: BTreeMap<String, Arc<dyn Provider>>,
    gates: BTreeMap<String, SharedGate>,
}

/// Jobs that may begin now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// Which.
    pub capabilities: Vec<Capability>,
    /// How many of them altogether.
    pub room: u32,
}

impl Registry {
    /// Adds a provider in the place of one of the same name.
    pub fn with(mut self, provider: impl Provider + 'static) -> Self {
        let name = provider.name().to_owned();
        let gate = SharedGate::new(ProviderLimits::default());
        self.gates.insert(name.clone(), gate);
        self.providers.insert(name, Arc::new(provider));
        self
    }

    /// Limits the jobs of a provider.
    pub fn limited(mut self, name: &str, limits: ProviderLimits) -> Self {
        self.gates.insert(name.to_owned(), SharedGate::new(limits));
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
                let ready =
                    ready.get_or_insert_with(|| provider.ready().map_err(|it| it.lack.to_string()));
                let capability = Capability {
                    provider: name.clone(),
                    category: *category,
                };
                capabilities.push((capability, ready.clone()));
            }
        }
        capabilities
    }

    /// The jobs of these capabilities that may begin now: those of all providers without a bound together, the others for each
    /// provider.
    pub fn openings(&self, capabilities: Vec<Capability>) -> Vec<Opening> {
        let now = Instant::now();
        let mut openings = BTreeMap::<_, Opening>::new();
        for capability in capabilities {
            let gate = self.gates.get(&capability.provider);
            let room = gate.map_or(u32::MAX, |gate| gate.lock().room(now));
            let bounded = (room < u32::MAX).then(|| capability.provider.clone());
            let opening = openings.entry(bounded).or_default();
            opening.capabilities.push(capability);
            opening.room = room;
        }
        openings.retain(|_, opening| opening.room > 0);
        openings.into_values().collect()
    }

    /// The providers whose limits all processes share.
    pub fn shared(&self) -> impl Iterator<Item = &str> {
        let gates = self
            .gates
            .iter()
            .filter(|(_, gate)| gate.lock().is_shared());
        let names = gates.map(|(name, _)| name.as_str());
        names.filter(|name| self.providers.contains_key(*name))
    }

    /// So many processes share the limits of this provider from now on.
    pub fn share_among(&self, name: &str, workers: u32) {
        if let Some(gate) = self.gates.get(name) {
            gate.lock().share_among(workers);
        }
    }

    /// Lets a job of this provider begin, for which there is room.
    pub fn pass(&self, name: &str) -> Passage {
        match self.gates.get(name) {
            Some(gate) => Passage::begin(gate),
            None => Passage::beside(None),
        }
    }

    /// Lets a job pass that only looks for another provider.
    pub fn pass_beside(&self, name: &str) -> Passage {
        Passage::beside(self.gates.get(name))
    }

    /// Whether the last submissions to this provider have failed.
    pub fn is_away(&self, name: &str) -> bool {
        let gate = self.gates.get(name);
        gate.is_some_and(|gate| gate.lock().is_away())
    }

    /// The same, or whether its service asked to be left alone: what another could make need not wait for it.
    pub fn turns_away(&self, name: &str) -> bool {
        let gate = self.gates.get(name);
        gate.is_some_and(|gate| gate.lock().turns_away(Instant::now()))
    }

    /// Why this provider gets no jobs now although it could run them, in words that follow its name.
    pub fn closed(&self, name: &str) -> Option<String> {
        self.gates.get(name)?.lock().closed(Instant::now())
    }

    /// The providers that cannot work here, with what they lack.
    pub fn missing(&self) -> impl Iterator<Item = (&str, Unready)> {
        let missing = |provider: &Arc<dyn Provider>| provider.ready().err();
        let providers = self.providers.iter();
        providers.filter_map(move |(name, provider)| Some((name.as_str(), missing(provider)?)))
    }

    /// In the order of the alphabet.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.providers.keys().map(String::as_str)
    }
}
