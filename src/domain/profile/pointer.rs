//! Places in an answer.

use serde::Deserialize;
use serde_json::Value;

/// JSON pointers (RFC 6901); a step `*` stands for every item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Pointers(Vec<String>);

impl TryFrom<Value> for Pointers {
    type Error = String;

    fn try_from(json: Value) -> Result<Self, String> {
        let items = match json {
            Value::Array(items) => items,
            item => vec![item],
        };
        let pointer = |item: &Value| {
            let text = item
                .as_str()
                .filter(|text| text.is_empty() || text.starts_with('/'));
            let expected = || {
                format!(
                    "a pointer such as \"/data/id\", or a list of them, is expected, not {item}"
                )
            };
            text.map(str::to_owned).ok_or_else(expected)
        };
        items
            .iter()
            .map(pointer)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Pointers {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the first one leads to that leads to something.
    pub fn first<'a>(&self, answer: &'a Value) -> Option<&'a Value> {
        self.all(answer).into_iter().next()
    }

    /// The first text or number, as text.
    pub fn text(&self, answer: &Value) -> Option<String> {
        self.all(answer).into_iter().find_map(text)
    }

    /// All that they lead to, but for nulls.
    pub fn all<'a>(&self, answer: &'a Value) -> Vec<&'a Value> {
        let mut found = Vec::new();
        for pointer in &self.0 {
            follow(answer, pointer, &mut found);
        }
        found
    }
}

/// As one piece of text; `None` for what is empty or has parts.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn follow<'a>(value: &'a Value, pointer: &str, found: &mut Vec<&'a Value>) {
    let Some((before, after)) = pointer.split_once("/*") else {
        found.extend(value.pointer(pointer).filter(|value| !value.is_null()));
        return;
    };
    match value.pointer(before) {
        Some(Value::Array(items)) => items.iter().for_each(|item| follow(item, after, found)),
        Some(Value::Object(items)) => items.values().for_each(|item| follow(item, after, found)),
        _ => {}
    }
}
