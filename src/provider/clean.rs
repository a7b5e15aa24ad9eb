//! Makes what a provider says fit to be stored: PostgreSQL takes no U+0000 in text and JSON, and nobody reads a megabyte of
//! an error message.

use serde_json::Value;

use crate::domain::JsonMap;

/// Longest text of a provider that is kept, in characters.
const MAX_CHARS: usize = 4_000;
/// Deepest JSON of a provider that is kept.
const MAX_DEPTH: usize = 16;

/// The text without U+0000, cut to a readable length.
pub fn text(text: &str) -> String {
    let mut clean: String = text
        .chars()
        .filter(|c| *c != '\0')
        .take(MAX_CHARS)
        .collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        clean.push('…');
    }
    clean
}

/// The object with all its texts cleaned, and without what is nested too deep.
pub fn map(map: JsonMap) -> JsonMap {
    clean_map(map, MAX_DEPTH)
}

fn clean_map(map: JsonMap, depth: usize) -> JsonMap {
    map.into_iter()
        .map(|(key, item)| (text(&key), value(item, depth - 1)))
        .collect()
}

fn value(json: Value, depth: usize) -> Value {
    match json {
        Value::String(string) => Value::String(text(&string)),
        Value::Array(_) | Value::Object(_) if depth == 0 => Value::Null,
        Value::Array(items) => items
            .into_iter()
            .map(|item| value(item, depth - 1))
            .collect(),
        Value::Object(map) => Value::Object(clean_map(map, depth)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nul_is_taken_out_everywhere_and_long_texts_are_cut() {
        let dirty = json!({ "a\0": ["b\0", { "c": "d\0" }], "long": "x".repeat(5_000), "n": 1.5 });
        let clean = Value::Object(map(dirty.as_object().cloned().unwrap_or_default()));
        assert!(!clean.to_string().contains("\\u0000"), "{clean}");
        assert_eq!(clean["a"][1]["c"], json!("d"));
        assert_eq!(
            clean["long"].as_str().map(|text| text.chars().count()),
            Some(MAX_CHARS + 1)
        );
    }

    #[test]
    fn endless_nesting_is_cut_off() {
        let mut deep = json!("x");
        for _ in 0..100 {
            deep = json!({ "a": deep });
        }
        let clean = map(deep.as_object().cloned().unwrap_or_default());
        assert!(Value::Object(clean).to_string().len() < 200);
    }
}
