//! How a file was made, as the job's `output_metadata` and the file itself tell it.

use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

use super::{JobInput, JsonMap, canonical_json, sha256_hex};

/// Of the object's own form.
const FORM: u32 = 1;

/// How a file was made, fit to be shown to whoever has the file: the same input gives the same recipe, so it holds no
/// identifiers of jobs and no times.
///
/// What is not fit to be shown is left out, and counts in the hash all the same: the feature's system prompt, what may be
/// credentials in a URL (user, query, fragment), settings that Atelier does not know, and what the template says where the
/// feature hides it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    shown: JsonMap,
    withheld: JsonMap,
}

impl Recipe {
    /// The recipe of what `provider` made of `input`. `told` is what the provider tells of its work, of which the model
    /// belongs to the recipe; the rest, such as the cost, says nothing of how to make it again.
    pub fn new(input: &JobInput, provider: &str, told: &JsonMap) -> Self {
        let origin = input.origin.as_ref();
        let mut shown = present([
            ("version", json!(FORM)),
            ("provider", json!(provider)),
            ("model", json!(told.get("model").and_then(Value::as_str))),
            ("feature", written(origin.map(|origin| &origin.feature))),
            (
                "template",
                written(origin.and_then(|origin| origin.template.as_ref())),
            ),
            ("input", Value::Object(shown_input(input))),
        ]);
        let pictures = input
            .pictures
            .iter()
            .filter_map(|name| input.variables.get(name));
        let mut withheld = present([
            ("pictures", pictures.cloned().collect()),
            ("system_prompt", json!(input.system_prompt)),
            ("media_urls", json!(input.media_urls)),
            ("product_url", json!(input.product_url)),
            ("mask_url", json!(input.mask_url)),
            ("extra", Value::Object(input.extra.clone())),
        ]);
        if input.hide_prompt {
            withhold_template(&mut shown, &mut withheld);
        }
        Self { shown, withheld }
    }

    /// Makes it the recipe of a file that has a seed of its own.
    pub fn set_seed(&mut self, seed: u32) {
        if let Some(Value::Object(input)) = self.shown.get_mut("input") {
            input.insert("seed".to_owned(), seed.into());
        }
    }

    /// The recipe as an object, with the hash of it all: `sha256:` and the digest of the [`canonical_json`] of what is shown
    /// and, under the key `withheld`, of what is not.
    pub fn to_json(&self) -> JsonMap {
        let mut hashed = self.shown.clone();
        hashed.insert("withheld".to_owned(), Value::Object(self.withheld.clone()));
        let hash = sha256_hex(canonical_json(&Value::Object(hashed)).as_bytes());
        let mut recipe = self.shown.clone();
        recipe.insert("hash".to_owned(), format!("sha256:{hash}").into());
        recipe
    }

    /// The object as the text that is embedded in files.
    pub fn text(&self) -> String {
        canonical_json(&Value::Object(self.to_json()))
    }
}

/// Keeps what a template says out of what is shown.
fn withhold_template(shown: &mut JsonMap, withheld: &mut JsonMap) {
    let Some(Value::Object(input)) = shown.get_mut("input") else {
        return;
    };
    for key in ["prompt", "negative_prompt", "style"] {
        withheld.extend(input.remove_entry(key));
    }
}

fn shown_input(input: &JobInput) -> JsonMap {
    let tells_both = input.hide_prompt || input.user_prompt != input.prompt;
    let own_words = tells_both.then_some(&input.user_prompt);
    let side = |pixels: u32| (pixels > 0).then_some(pixels);
    let mut variables = input.variables.clone();
    for name in &input.pictures {
        let given = variables.remove(name);
        if let Some(url) = given.as_ref().and_then(Value::as_str).and_then(public_part) {
            variables.insert(name.clone(), url.into());
        }
    }
    let media_urls: Vec<_> = input.media_urls.iter().filter_map(public_part).collect();
    present([
        ("prompt", json!(input.prompt)),
        ("user_prompt", json!(own_words)),
        ("negative_prompt", json!(input.negative_prompt)),
        ("media_urls", json!(media_urls)),
        ("product_url", json!(public_part(&input.product_url))),
        ("mask_url", json!(public_part(&input.mask_url))),
        ("seed", json!(input.seed)),
        ("cfg_scale", json!(input.cfg_scale)),
        ("lora_weights", json!(input.lora_weights)),
        ("width", json!(side(input.width))),
        ("height", json!(side(input.height))),
        ("format", json!(input.format)),
        ("duration_seconds", json!(input.duration_seconds)),
        ("frame_rate", json!(input.frame_rate)),
        ("variables", Value::Object(variables)),
        ("style", Value::Object(input.style.clone())),
    ])
}

/// The URL without what may be credentials.
fn public_part(url: impl AsRef<str>) -> Option<String> {
    let mut url = Url::parse(url.as_ref()).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some(url.into())
}

fn written(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// The entries that say something.
fn present<const N: usize>(entries: [(&str, Value); N]) -> JsonMap {
    let says_something = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    };
    let entries = entries.into_iter();
    entries
        .filter(|(_, value)| says_something(value))
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(changes: Value) -> JobInput {
        let mut input = json!({
            "provider": "builtin", "prompt": "Grand opening", "user_prompt": "Grand opening", "seed": 7,
            "width": 640, "height": 480, "aspect_ratio": "4:3",
            "origin": {
                "feature": { "id": 1, "name": "poster", "version": 3 },
                "template": { "id": 2, "name": "sale", "version": 5 },
            },
        });
        input
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        serde_json::from_value(input).unwrap()
    }

    fn recipe(changes: Value) -> Recipe {
        let told = json!({ "model": "atelier-poster-1", "cost": 3 });
        Recipe::new(&input(changes), "builtin", told.as_object().unwrap())
    }

    #[test]
    fn a_recipe_tells_what_made_the_file_and_nothing_that_is_empty() {
        let mut told = recipe(json!({})).to_json();
        let hash = told.remove("hash").unwrap();
        assert_eq!(
            Value::Object(told),
            json!({
                "version": 1, "provider": "builtin", "model": "atelier-poster-1",
                "feature": { "id": 1, "name": "poster", "version": 3 },
                "template": { "id": 2, "name": "sale", "version": 5 },
                "input": { "prompt": "Grand opening", "seed": 7, "width": 640, "height": 480 },
            })
        );
        let hash = hash.as_str().unwrap().strip_prefix("sha256:").unwrap();
        assert!(
            hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{hash}"
        );
    }

    #[test]
    fn the_hash_can_be_computed_from_what_the_page_on_media_says() {
        let recipe = recipe(json!({ "system_prompt": "Be kind." }));
        let mut told = recipe.to_json();
        let hash = told.remove("hash").unwrap();
        told.insert(
            "withheld".to_owned(),
            json!({ "system_prompt": "Be kind." }),
        );
        let text = serde_json::to_string(&told).unwrap();
        assert_eq!(hash, format!("sha256:{}", sha256_hex(text.as_bytes())));
    }

    #[test]
    fn what_is_withheld_is_not_shown_and_changes_the_hash() {
        let plain = recipe(json!({})).to_json();
        let url = "https://user:pass@cdn.vn/a.png?X-Amz-Signature=5ec2e7#key";
        for withheld in [
            json!({ "system_prompt": "a 5ec2e7" }),
            json!({ "extra": { "token": "5ec2e7" } }),
            json!({ "media_urls": [url] }),
            json!({ "product_url": url }),
            json!({ "mask_url": url }),
            json!({ "variables": { "photo": url }, "pictures": ["photo"] }),
            json!({ "variables": { "photo": { "media_id": 5 } }, "pictures": ["photo"] }),
        ] {
            let recipe = recipe(withheld.clone());
            for word in ["5ec2e7", "pass", "key"] {
                assert!(!recipe.text().contains(word), "{word} in {}", recipe.text());
            }
            assert_ne!(recipe.to_json()["hash"], plain["hash"], "{withheld}");
        }
        let hidden = json!({
            "hide_prompt": true, "prompt": "a 5ec2e7", "negative_prompt": "pass", "style": { "note": "5ec2e7" },
        });
        let hidden = recipe(hidden);
        for word in ["5ec2e7", "pass", "style"] {
            assert!(!hidden.text().contains(word), "{word} in {}", hidden.text());
        }
        assert_eq!(hidden.to_json()["input"]["user_prompt"], "Grand opening");
        let shown = &recipe(json!({ "media_urls": [url] })).to_json()["input"]["media_urls"];
        assert_eq!(*shown, json!(["https://cdn.vn/a.png"]));
    }

    #[test]
    fn every_input_counts_and_what_does_not_change_the_output_does_not() {
        let plain = recipe(json!({})).text();
        for counting in [
            json!({ "prompt": "Closing" }),
            json!({ "negative_prompt": "rain" }),
            json!({ "seed": 8 }),
            json!({ "cfg_scale": 7.5 }),
            json!({ "lora_weights": { "ink": 0.5 } }),
            json!({ "width": 641 }),
            json!({ "format": "webp" }),
            json!({ "duration_seconds": 3 }),
            json!({ "frame_rate": 25 }),
            json!({ "variables": { "place": "12 Hàng Đào" } }),
            json!({ "style": { "colors": ["#fff"] } }),
            json!({ "origin": { "feature": { "id": 1, "name": "poster", "version": 4 } } }),
        ] {
            assert_ne!(recipe(counting.clone()).text(), plain, "{counting}");
        }
        for idle in [
            json!({ "omit_recipe": true }),
            json!({ "formats": ["jpg"] }),
        ] {
            assert_eq!(recipe(idle.clone()).text(), plain, "{idle}");
        }
    }

    #[test]
    fn the_seed_of_a_file_replaces_that_of_the_job() {
        let mut other = recipe(json!({}));
        other.set_seed(9);
        assert_eq!(other, recipe(json!({ "seed": 9 })));
    }
}
