//! What a provider is told of a request before there is a job of it.

use std::{collections::BTreeMap, sync::LazyLock};

use crate::domain::{Flaw, JobInput, JsonMap, MediaType, Offer, Problem};

static NO_STYLE: LazyLock<JsonMap> = LazyLock::new(JsonMap::new);

/// Who says something that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The feature's model.
    Model,
    /// The feature's settings.
    Settings,
    /// The template's style.
    Style,
    /// A variable of the template.
    Variable,
}

/// A part of a preset that a provider cannot take, or does not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Who says it.
    pub place: Place,
    /// Where it stands there, such as `animation.pan`; empty of a model.
    pub key: String,
    /// [`Flaw::NotSupported`] where it would only have no effect; else a job would fail.
    pub flaw: Flaw,
    /// What must be there, in words that follow "must be".
    pub expected: String,
}

impl Unfit {
    /// A model with which jobs would fail.
    pub(super) fn model(expected: impl Into<String>) -> Self {
        Self {
            place: Place::Model,
            ..Self::setting("", expected)
        }
    }

    /// A setting with which jobs would fail.
    pub(super) fn setting(key: &str, expected: impl Into<String>) -> Self {
        Self {
            place: Place::Settings,
            key: key.to_owned(),
            flaw: Flaw::Malformed,
            expected: expected.into(),
        }
    }

    /// The same where it would have no effect.
    pub(super) fn unread(self) -> Self {
        Self {
            flaw: Flaw::NotSupported,
            ..self
        }
    }

    /// The same, said elsewhere.
    pub(super) fn of(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// What is told of it.
    pub fn problem(&self) -> Problem {
        self.flaw.says(format!("must be {}", self.expected))
    }
}

/// What a feature and its template set, on which may depend what of a request is read.
#[derive(Clone, Copy, Debug)]
pub struct Preset<'a> {
    /// What is to be made.
    pub media_type: MediaType,
    /// The feature's model, if it names one.
    pub model: Option<&'a str>,
    /// The feature's settings.
    pub settings: &'a JsonMap,
    /// The template's look, which goes over them; empty where there is none.
    pub style: &'a JsonMap,
}

impl<'a> Preset<'a> {
    /// Of a feature, without any template. An empty model is none.
    pub fn of_feature(media_type: MediaType, model: &'a str, settings: &'a JsonMap) -> Self {
        Self {
            media_type,
            model: Some(model).filter(|model| !model.is_empty()),
            settings,
            style: &NO_STYLE,
        }
    }

    /// With the look of a template.
    pub fn styled(self, style: &'a JsonMap) -> Self {
        Self { style, ..self }
    }

    /// Of a request for this.
    pub fn of_offer(offer: Offer<'a>) -> Self {
        let properties = offer.properties;
        let feature = Self::of_feature(offer.category, &properties.model, &properties.settings);
        feature.styled(offer.template.map_or(&NO_STYLE, |it| &it.style))
    }

    /// Of a job that makes this type of media.
    pub fn of_job(media_type: MediaType, job: &'a JobInput) -> Self {
        Self {
            media_type,
            model: job.model.as_deref(),
            settings: &job.settings,
            style: &job.style,
        }
    }

    /// The keys of the settings and of the style that nobody reads; `why` is words that follow "left out: ".
    pub(super) fn unread(&self, is_unread: impl Fn(&str) -> bool, why: &str) -> Vec<Unfit> {
        let settings = self.settings.keys().map(|key| (Place::Settings, key));
        let style = self.style.keys().map(|key| (Place::Style, key));
        let unread = settings.chain(style).filter(|(_, key)| is_unread(key));
        let unfit = |(place, key): (Place, &String)| {
            Unfit::setting(key, format!("left out: {why}"))
                .unread()
                .of(place)
        };
        unread.map(unfit).collect()
    }

    /// The model, and those settings that are none of `read`, of a feature whose provider reads nothing else of them.
    pub(super) fn unread_of_feature(&self, read: &[&str]) -> Vec<Unfit> {
        let model = "left out: the generator has no models to choose from";
        let model = self.model.map(|_| Unfit::model(model).unread());
        let settings = self.styled(&NO_STYLE);
        let settings = settings.unread(
            |key| !read.contains(&key),
            "the generator has no such setting",
        );
        model.into_iter().chain(settings).collect()
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
