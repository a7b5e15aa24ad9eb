//! Places in workflows, by the names of the inputs that they take.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    domain::{Flaw, JsonMap, Problem},
    provider::{Inputs, Unfit},
};

/// The places of each input.
pub(super) type Bindings = BTreeMap<String, Vec<String>>;

/// Inputs that a place can take, and whether it must hold a number.
pub(super) const INPUTS: [(&str, bool); 14] = [
    ("aspect_ratio", false),
    ("cfg_scale", true),
    ("duration_seconds", true),
    ("format", false),
    ("frame_rate", true),
    ("frames", true),
    ("height", true),
    ("model", false),
    ("negative_prompt", false),
    ("prompt", false),
    ("seed", true),
    ("system_prompt", false),
    ("user_prompt", false),
    ("width", true),
];

const LORAS: &str = "lora_weights.";

/// The same for what has many of them.
pub(super) const FAMILIES: [&str; 4] = [LORAS, "pictures.", "settings.", "variables."];

/// Those of a level of settings.
pub(super) fn read(level: &JsonMap) -> Result<Bindings, Unfit> {
    let Some(bindings) = level.get("bindings") else {
        return Ok(Bindings::new());
    };
    let places = |(input, places): (&String, &Value)| {
        let places = match places {
            Value::String(place) => Some(vec![place.clone()]),
            places => serde_json::from_value(places.clone()).ok(),
        };
        let expected = "a place such as \"6.inputs.text\", or a list of places";
        let places =
            places.ok_or_else(|| Unfit::setting(&format!("bindings.{input}"), expected))?;
        Ok((input.clone(), places))
    };
    match bindings {
        Value::Object(bindings) => bindings.iter().map(places).collect(),
        _ => Err(Unfit::setting("bindings", "places by the names of inputs")),
    }
}

/// Whether any place takes this field of a request.
pub(super) fn take(bindings: &Bindings, field: &str) -> bool {
    match field {
        // What has no place is refused.
        "user_media_urls" | "variables" => true,
        "user_prompt" => ["prompt", field]
            .iter()
            .any(|it| bindings.contains_key(*it)),
        "duration_seconds" => ["frames", field]
            .iter()
            .any(|it| bindings.contains_key(*it)),
        "lora_weights" => loras(bindings).next().is_some(),
        field => bindings.contains_key(field),
    }
}

/// The inputs that have no place: pictures, and LoRAs where others have one.
pub(super) fn check(bindings: &Bindings, inputs: &Inputs<'_>) -> Vec<(String, Problem)> {
    let pictures = inputs.pictures.iter();
    let pictures = pictures.filter(|field| !bindings.contains_key(&of_picture(field)));
    let words = "must be left out: the workflow has no place for it";
    let pictures = pictures.map(|field| (field.clone(), Flaw::NotSupported.says(words)));
    let names: Vec<_> = loras(bindings).collect();
    let unknown = |(_, name): &&(String, &str)| !names.is_empty() && !names.contains(name);
    let loras = inputs.loras.iter().filter(unknown).map(|(field, name)| {
        let words = format!(
            "must name LoRAs of the workflow ({}), not {name}",
            names.join(", ")
        );
        let problem = Flaw::NotOneOf.says(words).allowed(&names).found(name);
        (field.clone(), problem)
    });
    pictures.chain(loras).collect()
}

fn loras(bindings: &Bindings) -> impl Iterator<Item = &str> {
    bindings.keys().filter_map(|name| name.strip_prefix(LORAS))
}

/// Where a picture of this field goes.
pub(super) fn of_picture(field: &str) -> String {
    let attached = field.strip_prefix("user_media_urls[");
    match attached.and_then(|rest| rest.strip_suffix(']')) {
        Some(index) => format!("pictures.{index}"),
        None => field.trim_start_matches("input.").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(inputs: &[&str]) -> Bindings {
        let bound = |input: &&str| ((*input).to_owned(), Vec::new());
        inputs.iter().map(bound).collect()
    }

    #[test]
    fn a_field_is_read_where_a_place_takes_it() {
        let bindings = bound(&["prompt", "frames", "lora_weights.ink", "seed"]);
        for field in ["user_prompt", "duration_seconds", "lora_weights", "seed"] {
            assert!(take(&bindings, field), "{field}");
            assert!(!take(&bound(&["width"]), field), "{field}");
        }
        for field in ["negative_prompt", "cfg_scale", "extra", "product_url"] {
            assert!(!take(&bindings, field), "{field}");
        }
    }

    #[test]
    fn what_is_brought_without_a_place_is_named() {
        let bindings = bound(&["pictures.0", "variables.face", "lora_weights.ink"]);
        let brought = [
            "user_media_urls[0]",
            "user_media_urls[1]",
            "input.variables.face",
            "input.variables.hat",
        ];
        let inputs = Inputs {
            pictures: brought.map(str::to_owned).into(),
            loras: vec![("a".to_owned(), "ink"), ("b".to_owned(), "oil")],
        };
        let fields = |bindings| {
            check(bindings, &inputs)
                .into_iter()
                .map(|(field, _)| field)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            fields(&bindings),
            ["user_media_urls[1]", "input.variables.hat", "b"]
        );
        // That no LoRA is read at all is told otherwise.
        assert_eq!(fields(&bound(&["prompt"])), brought);
    }
}
