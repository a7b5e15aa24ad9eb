//! Makes what a provider says fit to be stored: PostgreSQL takes no U+0000 in text and JSON, and nobody reads a megabyte of
//! an error message.

use serde_json::Value;

use crate::domain::{JsonMap, printable};

/// Longest text of a provider that is kept, in characters.
const MAX_CHARS: usize = 4_000;
/// Deepest JSON of a provider that is kept.
const MAX_DEPTH: usize = 16;
/// Most values of a provider's JSON that are kept.
const MAX_VALUES: usize = 1_024;

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

/// The same as one line that can do nothing to those around it: what is shown while work is being done.
pub fn line(line: &str) -> String {
    text(&printable(line))
}

/// The object with all its texts cleaned, and without what is nested too deep or too much.
pub fn map(map: JsonMap) -> JsonMap {
    clean_map(map, MAX_DEPTH, &mut { MAX_VALUES })
}

/// `room` is for so many more values.
fn clean_map(map: JsonMap, depth: usize, room: &mut usize) -> JsonMap {
    map.into_iter()
        .map_while(|(key, item)| Some((text(&key), inner(item, depth, room)?)))
        .collect()
}

fn inner(item: Value, depth: usize, room: &mut usize) -> Option<Value> {
    *room = room.checked_sub(1)?;
    Some(value(item, depth - 1, room))
}

fn value(json: Value, depth: usize, room: &mut usize) -> Value {
    match json {
        Value::String(string) => Value::String(text(&string)),
        Value::Array(_) | Value::Object(_) if depth == 0 => Value::Null,
        Value::Array(items) => items
            .into_iter()
            .map_while(|item| inner(item, depth, room))
            .collect(),
        Value::Object(map) => Value::Object(clean_map(map, depth, room)),
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
    fn only_so_many_values_are_kept() {
        let many = json!({ "a": vec![json!({ "b": 1 }); 3_000], "c": 1 });
        let clean = map(many.as_object().cloned().unwrap_or_default());
        let Some(Value::Array(items)) = clean.get("a") else {
            panic!("{clean:?}");
        };
        assert_eq!((clean.len(), items.len()), (1, 512));
        assert_eq!(items[510..], [json!({ "b": 1 }), json!({})]);
    }

    #[test]
    fn a_line_stays_one_and_is_cut() {
        assert_eq!(line("a\nb\u{1b}[2J\0"), r"a\nb\u{1b}[2J\u{0}");
        assert_eq!(line(&"\n".repeat(5_000)).chars().count(), MAX_CHARS + 1);
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
