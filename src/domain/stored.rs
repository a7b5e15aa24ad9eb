//! Open-ended columns as typed data. Other programs may have written them too.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use super::JsonMap;

/// The typed form of a column; the default if there is nothing in it.
pub fn read<T: DeserializeOwned + Default>(stored: Option<&Value>) -> Result<T, serde_json::Error> {
    match stored {
        None | Some(Value::Null) => Ok(T::default()),
        Some(stored) => T::deserialize(stored),
    }
}

/// Typed data that keeps the keys which it does not know.
pub trait OpenEnded: DeserializeOwned + Default {
    /// The data of which no key is known.
    fn of_unknown(extra: JsonMap) -> Self;
}

/// The typed form of a column to look at: what cannot be read as such is all of unknown keys, so that one odd row does not
/// spoil a list.
pub fn show<T: OpenEnded>(stored: Option<Value>) -> T {
    read(stored.as_ref()).unwrap_or_else(|_| match stored {
        Some(Value::Object(map)) => T::of_unknown(map),
        _ => T::default(),
    })
}

/// A style given by its name alone, as in `{"style": "modern"}`, is a style with that name (docs/domain.md#data-of-a-template).
pub(super) fn style<'de, D: Deserializer<'de>>(deserializer: D) -> Result<JsonMap, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Object(map) => map,
        Value::Null => JsonMap::new(),
        name => JsonMap::from_iter([("name".to_owned(), name)]),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{FeatureProperties, TemplateData};

    #[test]
    fn the_spec_s_own_examples_are_read() {
        let template: TemplateData = read(Some(
            &json!({ "style": "modern", "colors": ["#fff"], "layout": {} }),
        ))
        .unwrap_or_default();
        assert_eq!(template.style["name"], json!("modern"));
        assert_eq!(template.extra["colors"], json!(["#fff"]));
        let properties: FeatureProperties = read(Some(&json!({
            "max_resolution": "4K", "formats": ["png", "jpg"], "max_duration": 60,
            "supported_aspect_ratios": ["16:9"], "cost_per_generation": 10,
        })))
        .unwrap_or_default();
        assert_eq!(properties.cost_per_generation, 10);
    }

    #[test]
    fn nothing_and_null_are_the_default() {
        for stored in [None, Some(Value::Null)] {
            assert_eq!(
                read::<FeatureProperties>(stored.as_ref()).ok(),
                Some(FeatureProperties::default())
            );
        }
    }

    #[test]
    fn an_odd_row_is_shown_as_it_is() {
        let odd = json!({ "formats": "all of them" });
        let shown: FeatureProperties = show(Some(odd));
        assert_eq!(shown.extra["formats"], json!("all of them"));
    }
}
