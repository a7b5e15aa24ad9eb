//! The places in a template's prompt that a request fills, and what fits into each, see
//! docs/domain.md#data-of-a-template.

mod value;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Checks, Flaw, Problem, prompt};

pub use value::media_id;

const DEFAULT_MAX_LENGTH: usize = 1_000;
const MAX_CHOICES: usize = 100;

/// One place in a template's prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variable {
    /// In the prompt: a letter or `_`, then letters, digits and `_`; at most 64.
    pub name: String,
    /// What fits into it.
    #[serde(rename = "type")]
    pub kind: VariableType,
    /// Caption in a form, at most 200 characters; empty: the name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// What the value is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// An example of a value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub placeholder: String,
    /// The value where a request gives none; without one it is `""`, 0 or false, unless it is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Whether a request must give a value where there is no default.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// The heading under which a form shows it together with the others of the group; empty: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Characters of a text; 0 means the usual limit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_length: i32,
    /// Smallest number; `None`: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Largest number; `None`: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// What numbers count on by from `min`, else from 0; `None`: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
    /// What a number counts, as a form shows it behind the field; empty: nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// The values of an enum, at most 100, all different; empty for all other types.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
}

/// A value of an enum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredChoice", into = "StoredChoice")]
pub struct Choice {
    /// What a request gives.
    pub value: String,
    /// What a form shows; empty: the value.
    pub label: String,
}

/// One without a label is stored as its value alone, as all once were.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredChoice {
    Value(String),
    Labelled { value: String, label: String },
}

impl From<StoredChoice> for Choice {
    fn from(stored: StoredChoice) -> Self {
        let (value, label) = match stored {
            StoredChoice::Value(value) => (value, String::new()),
            StoredChoice::Labelled { value, label } => (value, label),
        };
        Self { value, label }
    }
}

impl From<Choice> for StoredChoice {
    fn from(Choice { value, label }: Choice) -> Self {
        if label.is_empty() {
            Self::Value(value)
        } else {
            Self::Labelled { value, label }
        }
    }
}

/// The type of a variable's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VariableType {
    /// One line of at most `max_length` characters, trimmed; a line break becomes a space, as in the field of a form.
    String,
    /// Text of at most `max_length` characters, without control characters but line breaks; trimmed.
    Text,
    /// A whole number from `min` to `max`, in steps.
    Integer,
    /// A number from `min` to `max`, in steps.
    Number,
    /// True or false.
    Boolean,
    /// One of `choices`.
    Enum,
    /// `#RRGGBB`, in capitals once it is accepted.
    Color,
    /// A day, `YYYY-MM-DD`.
    Date,
    /// An http or https URL, or `{"media_id": N}` for a picture of the user's own.
    Picture,
}

impl VariableType {
    fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Number)
    }
}

/// Texts that a form shows of a variable, in whatever language.
pub(super) fn check_texts<const N: usize>(
    path: &str,
    texts: [(&str, &String); N],
    checks: &mut Checks,
) {
    for (name, text) in texts {
        let field = format!("{path}.{name}");
        match name {
            "description" => checks.text(&field, text, 500),
            "unit" => checks.line(&field, text, 32),
            "group" => checks.line(&field, text, 100),
            _ => checks.line(&field, text, 200),
        }
    }
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

impl Variable {
    /// A value of the variable's type, or what is expected.
    pub(super) fn resolve(&self, given: Option<&Value>) -> Result<Value, Problem> {
        match given
            .filter(|value| !value.is_null())
            .or(self.default.as_ref())
        {
            Some(value) => self.accept(value),
            None if self.required => Err(Problem::required()),
            None => Ok(self.empty()),
        }
    }

    fn empty(&self) -> Value {
        match self.kind {
            VariableType::Integer | VariableType::Number => Value::from(0),
            VariableType::Boolean => Value::from(false),
            _ => Value::from(""),
        }
    }

    /// A value that fits, made of `words` where the variable says nothing better. There is none for a picture without an
    /// example.
    pub(super) fn example(&self, words: &str) -> Value {
        let shown = Value::from(self.placeholder.as_str());
        if !self.placeholder.is_empty()
            && let Ok(value) = self.accept(&shown)
        {
            return value;
        }
        let number = self.min.or(self.max).unwrap_or(1.0);
        match self.kind {
            VariableType::String | VariableType::Text => {
                Value::from(words.chars().take(self.most_chars()).collect::<String>())
            }
            VariableType::Enum => self
                .choices
                .first()
                .map(|first| first.value.as_str())
                .into(),
            VariableType::Integer => Value::from(number.ceil()),
            VariableType::Number => Value::from(number),
            VariableType::Boolean => Value::from(false),
            VariableType::Color => Value::from("#336699"),
            VariableType::Date => Value::from("2030-01-01"),
            VariableType::Picture => Value::Null,
        }
    }

    fn most_chars(&self) -> usize {
        let most = usize::try_from(self.max_length).ok();
        most.filter(|most| *most > 0).unwrap_or(DEFAULT_MAX_LENGTH)
    }

    pub(super) fn check(&self, path: &str, checks: &mut Checks) {
        self.check_name(&format!("{path}.name"), checks);
        let texts = [
            ("label", &self.label),
            ("description", &self.description),
            ("placeholder", &self.placeholder),
            ("group", &self.group),
            ("unit", &self.unit),
        ];
        check_texts(path, texts, checks);
        checks.range(&format!("{path}.max_length"), self.max_length, 0, 20_000);
        self.check_range(path, checks);
        self.check_step(path, checks);
        self.check_choices(&format!("{path}.choices"), checks);
        let field = format!("{path}.default_value");
        if let Some(Err(expected)) = self.default.as_ref().map(|value| self.accept(value)) {
            checks.add(&field, expected);
        }
        let is_media = self.kind == VariableType::Picture
            && self.default.as_ref().is_some_and(Value::is_object);
        checks.require(!is_media, &field, || {
            Flaw::Conflict.says("must be a URL: a media is one user's own")
        });
    }

    fn check_step(&self, path: &str, checks: &mut Checks) {
        let unfit = || Flaw::NotSupported.says("must be left out: the variable is no number");
        let is_number = self.kind.is_number();
        checks.require(
            is_number || self.unit.is_empty(),
            &format!("{path}.unit"),
            unfit,
        );
        let field = format!("{path}.step");
        checks.require(is_number || self.step.is_none(), &field, unfit);
        let fits = |step: f64| step.is_finite() && step > 0.0;
        checks.require(self.step.is_none_or(fits), &field, || {
            Flaw::OutOfRange.says("must be a finite number above 0")
        });
    }

    fn check_name(&self, field: &str, checks: &mut Checks) {
        let starts_well = self
            .name
            .starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let goes_on_well = self
            .name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_');
        checks.require(
            starts_well && goes_on_well && self.name.len() <= 64,
            field,
            || {
                Flaw::Malformed
                    .says("must be a letter or \"_\", then letters, digits and \"_\", at most 64")
            },
        );
        checks.require(self.name != prompt::USER_PROMPT, field, || {
            Flaw::Conflict.says("must not be user_prompt, which is always there")
        });
    }

    fn check_range(&self, path: &str, checks: &mut Checks) {
        for (name, bound) in [("min", self.min), ("max", self.max)] {
            // JSON, in which the template is stored, knows no others.
            checks.require(
                bound.is_none_or(f64::is_finite),
                &format!("{path}.{name}"),
                || Flaw::Malformed.says("must be a finite number"),
            );
        }
        if let (Some(min), Some(max)) = (self.min, self.max) {
            checks.require(min <= max, &format!("{path}.max"), || {
                let words = format!("must not be below min, got {min} to {max}");
                Flaw::OutOfRange.says(words).min(min).found(max)
            });
        }
    }

    fn check_choices(&self, field: &str, checks: &mut Checks) {
        let needs_choices = self.kind == VariableType::Enum;
        checks.require(needs_choices != self.choices.is_empty(), field, || {
            Flaw::Conflict.says("must be given for an enum, and for nothing else")
        });
        if !checks.count(field, self.choices.len(), MAX_CHOICES) {
            return;
        }
        let mut seen = BTreeSet::new();
        for (index, choice) in self.choices.iter().enumerate() {
            let entry = format!("{field}[{index}]");
            checks.line(&format!("{entry}.value"), &choice.value, 200);
            checks.line(&format!("{entry}.label"), &choice.label, 200);
            let value = &choice.value;
            checks.require(seen.insert(value), &format!("{entry}.value"), || {
                Problem::duplicate(value)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn choices_are_read_with_labels_and_without_and_written_as_briefly_as_they_can() {
        let stored = json!([ "a", { "value": "b", "label": "Bê" } ]);
        let choices: Vec<Choice> = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!((&*choices[0].label, &*choices[1].label), ("", "Bê"));
        assert_eq!(serde_json::to_value(choices).unwrap(), stored);
    }
}
