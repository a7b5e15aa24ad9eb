//! What a provider is told of a request before there is a job of it.

use std::{collections::BTreeMap, sync::LazyLock};

use crate::domain::{Flaw, JobInput, JsonMap, MediaType, Offer, Problem};

static NO_STYLE: LazyLock<JsonMap> = LazyLock::new(JsonMap::new);

/// What a feature and its template set, on which may depend what of a request is read.
#[derive(Clone, Copy, Debug)]
pub struct Preset<'a> {
    /// What is to be made.
    pub media_type: MediaType,
    /// The feature's settings.
    pub settings: &'a JsonMap,
    /// The template's look, which goes over them; empty where there is none.
    pub style: &'a JsonMap,
}

impl<'a> Preset<'a> {
    /// Of a request for this.
    pub fn of_offer(offer: Offer<'a>) -> Self {
        Self {
            media_type: offer.category,
            settings: &offer.properties.settings,
            style: offer.template.map_or(&*NO_STYLE, |it| &it.style),
        }
    }

    /// Of a job that makes this type of media.
    pub fn of_job(media_type: MediaType, job: &'a JobInput) -> Self {
        Self {
            media_type,
            settings: &job.settings,
            style: &job.style,
        }
    }
}

/// What a request brings that a provider may have too few places for, or no name.
#[derive(Clone, Debug, Default)]
pub struct Inputs<'a> {
    /// The fields that bring pictures, in their order; none where the provider is not handed them.
    pub pictures: Vec<String>,
    /// The LoRAs that are asked for: the field of each, and its name.
    pub loras: Vec<(String, &'a str)>,
}

impl<'a> Inputs<'a> {
    /// With the LoRAs that have these strengths, each by its field.
    pub fn with_loras(
        mut self,
        weights: &'a Option<BTreeMap<String, f64>>,
        field: impl Fn(&str) -> String,
    ) -> Self {
        let names = weights.iter().flat_map(BTreeMap::keys);
        self.loras = names.map(|name| (field(name), name.as_str())).collect();
        self
    }

    /// What is wrong with the pictures if at most so many are worked from at once.
    pub fn pictures_beyond(&self, most: usize) -> Vec<(String, Problem)> {
        let beyond = self.pictures.iter().skip(most).map(|field| {
            let words = format!(
                "must be left out: the generator of this feature takes {most} picture(s) at most"
            );
            (field.clone(), Flaw::NotSupported.says(words).max(most))
        });
        beyond.collect()
    }
}
