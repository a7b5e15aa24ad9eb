//! Which values a variable takes.

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::{
    super::{Checks, Flaw, Problem},
    Variable, VariableType,
};

/// The media that a picture variable's value names.
pub fn media_id(value: &Value) -> Option<i64> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    match object.get("media_id")? {
        // JavaScript has an int64 as text.
        Value::String(text) => text.parse().ok(),
        number => number
            .as_f64()
            .filter(|id| id.fract() == 0.0 && id.abs() < 9e15)
            .map(|id| id as i64),
    }
    .filter(|id| *id > 0)
}

impl Variable {
    pub(super) fn accept(&self, value: &Value) -> Result<Value, Problem> {
        match self.kind {
            VariableType::String | VariableType::Text => self.accept_text(value),
            VariableType::Boolean => value
                .as_bool()
                .map(Value::from)
                .ok_or_else(|| Flaw::Malformed.says("must be true or false")),
            VariableType::Integer | VariableType::Number => self.accept_number(value),
            VariableType::Enum => value
                .as_str()
                .filter(|text| self.choices.iter().any(|choice| choice.value == *text))
                .map(Value::from)
                .ok_or_else(|| {
                    let values = self.choices.iter().map(|choice| choice.value.as_str());
                    let words = format!(
                        "must be one of {}",
                        values.clone().collect::<Vec<_>>().join(", ")
                    );
                    Flaw::NotOneOf.says(words).allowed(values)
                }),
            // The empty field of a form.
            _ if value.as_str() == Some("") && !self.required => Ok(self.empty()),
            VariableType::Color => accept_color(value),
            VariableType::Date => accept_date(value),
            VariableType::Picture => accept_picture(value),
        }
    }

    fn accept_text(&self, value: &Value) -> Result<Value, Problem> {
        let most = self.most_chars();
        value
            .as_str()
            .filter(|text| {
                text.chars().count() <= most && !text.chars().any(|c| c.is_control() && c != '\n')
            })
            .map(|text| match self.kind {
                VariableType::String => Value::from(text.trim().replace('\n', " ")),
                _ => Value::from(text.trim()),
            })
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
            .filter(|number| (low..=high).contains(number) && self.is_on_step(*number));
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

    /// As near as doubles can tell.
    fn is_on_step(&self, number: f64) -> bool {
        self.step.is_none_or(|step| {
            let steps = (number - self.min.unwrap_or(0.0)) / step;
            (steps - steps.round()).abs() < 1e-6
        })
    }

    fn number_range(&self, whole: bool) -> String {
        let noun = if whole { "a whole number" } else { "a number" };
        let range = match (self.min, self.max) {
            (Some(min), Some(max)) => format!("{noun} from {min} to {max}"),
            (Some(min), None) => format!("{noun}, {min} or more"),
            (None, Some(max)) => format!("{noun}, {max} or less"),
            (None, None) => noun.to_owned(),
        };
        match self.step {
            Some(step) => format!("{range}, in steps of {step}"),
            None => range,
        }
    }
}

fn accept_color(value: &Value) -> Result<Value, Problem> {
    let digits = value.as_str().and_then(|text| text.strip_prefix('#'));
    digits
        .filter(|digits| digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .map(|digits| Value::from(format!("#{}", digits.to_ascii_uppercase())))
        .ok_or_else(|| Flaw::Malformed.says("must be a colour as #RRGGBB"))
}

fn accept_date(value: &Value) -> Result<Value, Problem> {
    let text = value.as_str().filter(|text| text.len() == 10);
    text.and_then(|text| text.parse::<NaiveDate>().ok())
        .map(|date| Value::from(date.to_string()))
        .ok_or_else(|| Flaw::Malformed.says("must be a date as YYYY-MM-DD"))
}

fn accept_picture(value: &Value) -> Result<Value, Problem> {
    if let Some(id) = media_id(value) {
        return Ok(json!({ "media_id": id }));
    }
    let mut checks = Checks::default();
    checks.url("", value.as_str().unwrap_or_default());
    if checks.is_empty() {
        Ok(value.clone())
    } else {
        let expected =
            "must be an http or https URL, or {\"media_id\": N} for a picture of the user's own";
        Err(Flaw::Malformed.says(expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(declaration: &Value) -> Variable {
        let mut whole = json!({ "name": "x" });
        whole
            .as_object_mut()
            .unwrap()
            .extend(declaration.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn each_type_takes_what_its_field_in_a_form_gives_and_nothing_else() {
        let step = json!({ "type": "number", "min": 0.1, "step": 0.1 });
        let whole = json!({ "type": "integer", "min": 5, "step": 5 });
        let colour = json!({ "type": "color" });
        let date = json!({ "type": "date" });
        let picture = json!({ "type": "picture" });
        for (declaration, given, accepted) in [
            (
                &json!({ "type": "string" }),
                json!(" a\nb "),
                Some(json!("a b")),
            ),
            (
                &json!({ "type": "text" }),
                json!(" a\nb "),
                Some(json!("a\nb")),
            ),
            (&step, json!(0.3), Some(json!(0.3))),
            (&step, json!(0.35), None),
            (&whole, json!(20.0), Some(json!(20))),
            (&whole, json!(21), None),
            (&colour, json!("#c0ffee"), Some(json!("#C0FFEE"))),
            (&colour, json!(""), Some(json!(""))),
            (&colour, json!("#ế12345"), None),
            (&colour, json!("red"), None),
            (&date, json!("2028-02-29"), Some(json!("2028-02-29"))),
            (&date, json!("2027-02-29"), None),
            (&date, json!("2027-2-9"), None),
            (&date, json!("+12027-02"), None),
            (
                &picture,
                json!("https://a.vn/a.png"),
                Some(json!("https://a.vn/a.png")),
            ),
            (
                &picture,
                json!({ "media_id": 7.0 }),
                Some(json!({ "media_id": 7 })),
            ),
            (
                &picture,
                json!({ "media_id": "7" }),
                Some(json!({ "media_id": 7 })),
            ),
            (&picture, json!({ "media_id": 0 }), None),
            (&picture, json!({ "media_id": 7, "x": 1 }), None),
            (&picture, json!("data:image/png;base64,"), None),
        ] {
            let value = variable(declaration).resolve(Some(&given));
            assert_eq!(value.ok(), accepted, "{declaration} {given}");
        }
        let required = variable(&json!({ "type": "date", "required": true }));
        assert!(required.resolve(Some(&json!(""))).is_err());
    }
}
