//! Reading of a template's style: which keys there are is the matter of who makes something from it.

use serde_json::{Map, Value};

/// Declares an enum whose values a style names.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            pub(super) const NAMES: &'static [(&'static str, Self)] = &[$(($text, Self::$variant)),+];
        }
    };
}
pub(crate) use named;

/// The wrong keys of a style, each with what is expected.
pub(crate) type Problems = Vec<(String, String)>;

/// The first of them as an error names it: the field and a message.
pub(crate) fn first_problem(problems: Problems) -> (String, String) {
    let (key, expected) = problems.into_iter().next().unwrap_or_default();
    (format!("style.{key}"), format!("expected {expected}"))
}

/// Takes the values of a style's keys and gathers what is wrong with them.
pub(crate) struct Reader<'a> {
    style: &'a Map<String, Value>,
    problems: Problems,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(style: &'a Map<String, Value>) -> Self {
        Self {
            style,
            problems: Vec::new(),
        }
    }

    /// What was read, unless something is wrong.
    pub(crate) fn finish<T>(self, read: T) -> Result<T, Problems> {
        match self.problems.is_empty() {
            true => Ok(read),
            false => Err(self.problems),
        }
    }

    pub(crate) fn wrong<T>(&mut self, key: &str, expected: impl Into<String>) -> Option<T> {
        self.problems.push((key.to_owned(), expected.into()));
        None
    }

    /// The value, if the key is there and not null.
    pub(crate) fn value(&self, key: &str) -> Option<Value> {
        self.style
            .get(key)
            .filter(|value| !value.is_null())
            .cloned()
    }

    pub(crate) fn one_of<T: Copy>(&mut self, key: &str, names: &[(&str, T)]) -> Option<T> {
        let value = self.value(key)?;
        let found = value
            .as_str()
            .and_then(|text| names.iter().find(|(name, _)| *name == text));
        match found {
            Some((_, value)) => Some(*value),
            None => self.wrong(
                key,
                format!("one of {}", listed(names.iter().map(|(name, _)| *name))),
            ),
        }
    }

    /// One of the names, or of a list of them: the value at its turn, counted around.
    pub(crate) fn turn_of<T: Copy>(
        &mut self,
        key: &str,
        names: &[(&str, T)],
        turn: u64,
    ) -> Option<T> {
        let told = self.value(key)?;
        let named = |name: &Value| {
            let found = names.iter().find(|(text, _)| name == *text);
            found.map(|(_, value)| *value)
        };
        match in_turn(&told, named, turn) {
            Some(value) => Some(value),
            None => {
                let names = listed(names.iter().map(|(name, _)| *name));
                self.wrong(key, format!("one of {names}, or a list of them"))
            }
        }
    }

    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(text).filter(|text| !text.trim().is_empty()),
            _ => self.wrong(key, "a text"),
        }
    }
}

/// What a value means, or the item at its turn of a list where each means something.
pub(crate) fn in_turn<T>(
    told: &Value,
    meaning: impl Fn(&Value) -> Option<T>,
    turn: u64,
) -> Option<T> {
    let Value::Array(items) = told else {
        return meaning(told);
    };
    let mut all = items.iter().map(meaning).collect::<Option<Vec<_>>>()?;
    let at = turn.checked_rem(all.len() as u64)?;
    Some(all.swap_remove(at as usize))
}

/// The names in quotes, as in an error.
pub(crate) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names
        .map(|name| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(", ")
}
