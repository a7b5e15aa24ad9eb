//! The places in a template's prompt that a request fills, and what fits into each, see
//! docs/domain.md#data-of-a-template.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Checks, Flaw, Problem, prompt};

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
    /// Characters of a string; 0 means the usual limit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_length: i32,
    /// Smallest number; `None`: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Largest number; `None`: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The values of an enum, at most 100, all different; empty for all other types.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// The type of a variable's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VariableType {
    /// Text of at most `max_length` characters, without control characters but line breaks; trimmed.
    String,
    /// A whole number from `min` to `max`.
    Integer,
    /// A number from `min` to `max`.
    Number,
    /// True or false.
    Boolean,
    /// One of `choices`.
    Enum,
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
            VariableType::String | VariableType::Enum => Value::from(""),
            VariableType::Integer | VariableType::Number => Value::from(0),
            VariableType::Boolean => Value::from(false),
        }
    }

    /// A value that fits, `words` where there is nothing better.
    pub(super) fn example(&self, words: &str) -> Value {
        match self.kind {
            VariableType::String => {
                let text = Some(self.placeholder.as_str()).filter(|text| !text.is_empty());
                let most = usize::try_from(self.max_length).unwrap_or(0);
                let most = if most > 0 { most } else { DEFAULT_MAX_LENGTH };
                let text: String = text.unwrap_or(words).chars().take(most).collect();
                Value::from(text)
            }
            VariableType::Enum => Value::from(self.choices.first().cloned()),
            VariableType::Integer => Value::from(self.min.or(self.max).unwrap_or(1.0).ceil()),
            VariableType::Number => Value::from(self.min.or(self.max).unwrap_or(1.0)),
            VariableType::Boolean => Value::from(false),
        }
    }

    fn accept(&self, value: &Value) -> Result<Value, Problem> {
        match self.kind {
            VariableType::String => self.accept_string(value),
            VariableType::Boolean => value
                .as_bool()
                .map(Value::from)
                .ok_or_else(|| Flaw::Malformed.says("must be true or false")),
            VariableType::Integer | VariableType::Number => self.accept_number(value),
            VariableType::Enum => value
                .as_str()
                .filter(|text| self.choices.iter().any(|choice| choice == text))
                .map(Value::from)
                .ok_or_else(|| {
                    let words = format!("must be one of {}", self.choices.join(", "));
                    Flaw::NotOneOf.says(words).allowed(&self.choices)
                }),
        }
    }

    fn accept_string(&self, value: &Value) -> Result<Value, Problem> {
        let most = usize::try_from(self.max_length)
            .ok()
            .filter(|most| *most > 0)
            .unwrap_or(DEFAULT_MAX_LENGTH);
        value
            .as_str()
            .filter(|text| {
                text.chars().count() <= most && !text.chars().any(|c| c.is_control() && c != '\n')
            })
            .map(|text| Value::from(text.trim()))
            .ok_or_else(|| {
                let words =
                    format!("must be text of at most {most} characters without control characters");
                match value.as_str().map(|text| text.chars().count()) {
                    Some(chars) if chars > most => Flaw::TooLong.says(words).max(most).found(chars),
                    _ => Flaw::Malformed.says(words),
                }
            })
    }

    fn accept_number(&self, value: &Value) -> Result<Value, Problem> {
        let low = self.min.unwrap_or(f64::MIN);
        let high = self.max.unwrap_or(f64::MAX);
        let number = value
            .as_f64()
            .filter(|number| (low..=high).contains(number));
        let whole = self.kind == VariableType::Integer;
        match number {
            // Whole numbers come as doubles from protobuf; beyond 2^53 they would not be exact.
            Some(number) if whole && number.fract() == 0.0 && number.abs() < 9e15 => {
                Ok(Value::from(number as i64))
            }
            Some(number) if !whole => Ok(Value::from(number)),
            _ => {
                let problem =
                    Flaw::OutOfRange.says(format!("must be {}", self.number_range(whole)));
                let problem = self.min.into_iter().fold(problem, Problem::min);
                let problem = self.max.into_iter().fold(problem, Problem::max);
                Err(problem.found(value))
            }
        }
    }

    fn number_range(&self, whole: bool) -> String {
        let noun = if whole { "a whole number" } else { "a number" };
        match (self.min, self.max) {
            (Some(min), Some(max)) => format!("{noun} from {min} to {max}"),
            (Some(min), None) => format!("{noun}, {min} or more"),
            (None, Some(max)) => format!("{noun}, {max} or less"),
            (None, None) => noun.to_owned(),
        }
    }

    pub(super) fn check(&self, path: &str, checks: &mut Checks) {
        self.check_name(&format!("{path}.name"), checks);
        checks.line(&format!("{path}.label"), &self.label, 200);
        checks.text(&format!("{path}.description"), &self.description, 500);
        checks.line(&format!("{path}.placeholder"), &self.placeholder, 200);
        checks.range(&format!("{path}.max_length"), self.max_length, 0, 20_000);
        self.check_range(path, checks);
        self.check_choices(&format!("{path}.choices"), checks);
        if let Some(Err(expected)) = self.default.as_ref().map(|value| self.accept(value)) {
            checks.add(format!("{path}.default_value"), expected);
        }
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
            checks.line(&entry, choice, 200);
            checks.require(seen.insert(choice), &entry, || Problem::duplicate(choice));
        }
    }
}
