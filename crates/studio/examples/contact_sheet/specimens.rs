//! Briefs of the starter catalogue's templates with words that people ask for.

use serde_json::{Map, Value};
use studio::drawing::Brief;

/// A template with its words.
pub(crate) struct Specimen {
    /// The template's name.
    pub(crate) template: String,
    /// Its style, with the texts of its form.
    pub(crate) style: Map<String, Value>,
    /// The words as the template's prompt renders them.
    pub(crate) prompts: Vec<String>,
}

impl Specimen {
    /// What is drawn of one of the prompts.
    pub(crate) fn brief(&self, prompt: &str, (width, height): (u32, u32), seed: u64) -> Brief {
        Brief {
            prompt: prompt.to_owned(),
            seed,
            width,
            height,
            style: self.style.clone(),
            picture: None,
        }
    }
}

/// All templates that are drawn, in the catalogue's order.
pub(crate) fn specimens() -> Vec<Specimen> {
    let read = |text: &str| -> Value { toml::from_str(text).expect("TOML") };
    let catalogue = read(include_str!("../../../../catalogue/starter.toml"));
    let words = read(include_str!("../../specimens.toml"));
    let features = catalogue["features"].as_array().expect("features");
    let templates = features
        .iter()
        .filter(|feature| feature["category"] != "audio")
        .filter_map(|feature| feature["templates"].as_array());
    templates
        .flatten()
        .map(|template| {
            let name = template["name"].as_str().expect("a name");
            let own = words[name].as_object().expect(name);
            let mut style = template["template_data"]["style"]
                .as_object()
                .cloned()
                .unwrap_or_default();
            style.extend(own.clone().into_iter().filter(|(key, _)| key != "prompts"));
            let prompts = own["prompts"].as_array().expect("prompts");
            Specimen {
                template: name.to_owned(),
                style,
                prompts: prompts
                    .iter()
                    .filter_map(|prompt| prompt.as_str().map(str::to_owned))
                    .collect(),
            }
        })
        .collect()
}
