//! What of a feature and a template a profile has no place for.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Engine;
use crate::{
    domain::{MediaType, profile::Filler},
    provider::{Preset, Unfit},
};

impl Engine {
    pub(super) fn check(&self, preset: Preset<'_>) -> Vec<Unfit> {
        let filled = self.always_filled(preset);
        let filled = preset.unread(
            |key| filled.contains(key),
            "the profile of the provider fills it in",
        );
        self.misfit_of_model(preset)
            .into_iter()
            .chain(filled)
            .collect()
    }

    /// A model that the path of the submission lacks, or that would leave its place there.
    fn misfit_of_model(&self, preset: Preset<'_>) -> Option<Unfit> {
        let submit = &self.config.profile.of(preset.media_type).submit;
        let path = submit.path.as_ref().filter(|path| path.names("model"))?;
        let Some(model) = preset.model else {
            let expected = "the name of a model, since the provider has none of its own";
            return self.config.model.is_none().then(|| Unfit::model(expected));
        };
        let wrong = path.fill(&self.least(preset, 0)).err()?;
        let expected = format!("a name for the path of the submission, not {model:?}: {wrong}");
        Some(Unfit::model(expected))
    }

    /// The keys beside the settings that the body has whatever a request says, with pictures or without: what is there goes over
    /// the settings.
    fn always_filled(&self, preset: Preset<'_>) -> BTreeSet<String> {
        let submit = &self.config.profile.of(preset.media_type).submit;
        let filled = |pictures| -> BTreeSet<String> {
            let body = submit.body.as_ref();
            let body = body.and_then(|body| body.fill(&self.least(preset, pictures)).ok());
            let beside = body.as_ref().and_then(|it| it.pointer(&submit.settings));
            let keys = beside.and_then(Value::as_object).into_iter().flatten();
            keys.map(|(key, _)| key.clone()).collect()
        };
        &filled(0) & &filled(2)
    }

    /// What a job has of values whatever its request says.
    fn least(&self, preset: Preset<'_>, pictures: usize) -> Filler {
        let model = preset.model.or(self.config.model.as_deref());
        let (side, shape) = match preset.media_type {
            MediaType::Audio => (0, ""),
            MediaType::Image | MediaType::Video => (1024, "1:1"),
        };
        let values = [
            ("aspect_ratio", json!(shape)),
            ("attempt", json!(1)),
            ("height", json!(side)),
            ("instructed_prompt", json!("x")),
            ("job_id", json!(1)),
            ("media_type", json!(preset.media_type)),
            (
                "media_urls",
                json!(vec!["https://localhost/x.png"; pictures]),
            ),
            ("model", json!(model)),
            ("model_name", json!(model)),
            ("prompt", json!("x")),
            ("seed", json!(1)),
            ("submission_key", json!("x")),
            ("user_prompt", json!("x")),
            ("width", json!(side)),
        ];
        Filler::new(
            values
                .map(|(name, value)| (name.to_owned(), value))
                .into_iter()
                .collect(),
        )
    }
}
