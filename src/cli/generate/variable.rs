//! `--var KEY=VALUE`: values for the variables of a template.

use std::str::FromStr;

use prost_types::{Struct, value::Kind};
use toml::de::DeValue;

use crate::rpc::proto::{TemplateVariable, TemplateVariableType};

/// One `KEY=VALUE`, its value still text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub name: String,
    text: String,
}

impl FromStr for Assignment {
    type Err = &'static str;

    fn from_str(argument: &str) -> Result<Self, Self::Err> {
        match argument.split_once('=') {
            Some((name, text)) if !name.trim().is_empty() => Ok(Self {
                name: name.trim().to_owned(),
                text: text.to_owned(),
            }),
            _ => Err("expected KEY=VALUE, such as brand=Luna"),
        }
    }
}

impl Assignment {
    /// The value, as the template's declaration wants it. Where a picture is wanted `50` is the id of a media, and where text
    /// is wanted it stays text; otherwise, and when no
    /// variable has the name, what parses as a TOML or JSON scalar is of that type, and all else is text.
    pub(super) fn value(&self, declared: &[TemplateVariable]) -> prost_types::Value {
        let declaration = declared.iter().find(|variable| variable.name == self.name);
        let declared = declaration.map(TemplateVariable::r#type);
        let wants_text = !matches!(
            declared,
            None | Some(
                TemplateVariableType::Unspecified
                    | TemplateVariableType::Integer
                    | TemplateVariableType::Number
                    | TemplateVariableType::Boolean
            )
        );
        let kind = match scalar(&self.text) {
            Some(id @ Kind::NumberValue(_)) if declared == Some(TemplateVariableType::Picture) => {
                let id = prost_types::Value { kind: Some(id) };
                let fields = [("media_id".to_owned(), id)].into();
                Kind::StructValue(Struct { fields })
            }
            Some(kind @ Kind::StringValue(_)) => kind,
            Some(kind) if !wants_text => kind,
            _ => Kind::StringValue(self.text.clone()),
        };
        prost_types::Value { kind: Some(kind) }
    }
}

fn scalar(text: &str) -> Option<Kind> {
    let value = DeValue::parse(text.trim()).ok()?;
    let number = |text: &str| {
        text.parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .map(Kind::NumberValue)
    };
    match value.get_ref() {
        DeValue::Boolean(value) => Some(Kind::BoolValue(*value)),
        DeValue::Float(value) => number(value.as_str()),
        DeValue::Integer(value) if value.radix() == 10 => number(value.as_str()),
        DeValue::String(value) => Some(Kind::StringValue(value.to_string())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(argument: &str) -> Kind {
        parse_declared(argument, TemplateVariableType::Unspecified)
    }

    fn parse_declared(argument: &str, r#type: TemplateVariableType) -> Kind {
        let variable = TemplateVariable {
            name: "x".into(),
            r#type: r#type.into(),
            ..TemplateVariable::default()
        };
        argument
            .parse::<Assignment>()
            .unwrap()
            .value(&[variable])
            .kind
            .unwrap()
    }

    #[test]
    fn scalars_get_their_type_and_all_else_is_text() {
        assert_eq!(parse("x=50"), Kind::NumberValue(50.0));
        assert_eq!(parse("x=-1.5e3"), Kind::NumberValue(-1500.0));
        assert_eq!(parse("x=true"), Kind::BoolValue(true));
        assert_eq!(parse("x=\"50\""), Kind::StringValue("50".into()));
        for text in [
            "Trà đá",
            "0912345678",
            "2026-01-01",
            "[1]",
            "50%",
            "",
            "a=b",
            "nan",
        ] {
            assert_eq!(
                parse(&format!("x={text}")),
                Kind::StringValue(text.into()),
                "{text}"
            );
        }
    }

    #[test]
    fn text_stays_text_where_the_template_wants_text() {
        assert_eq!(
            parse_declared("x=50", TemplateVariableType::String),
            Kind::StringValue("50".into())
        );
        assert_eq!(
            parse_declared("x=true", TemplateVariableType::Enum),
            Kind::StringValue("true".into())
        );
        assert_eq!(
            parse_declared("x=50", TemplateVariableType::Integer),
            Kind::NumberValue(50.0)
        );
    }

    #[test]
    fn a_number_is_a_media_where_a_picture_is_wanted_and_text_a_url() {
        let photo =
            |text: &str| parse_declared(&format!("x={text}"), TemplateVariableType::Picture);
        let id = prost_types::Value {
            kind: Some(Kind::NumberValue(7.0)),
        };
        let fields = [("media_id".to_owned(), id)].into();
        assert_eq!(photo("7"), Kind::StructValue(Struct { fields }));
        let url = "https://a.vn/7.png";
        assert_eq!(photo(url), Kind::StringValue(url.into()));
        assert_eq!(
            parse_declared("x=2026-01-01", TemplateVariableType::Date),
            Kind::StringValue("2026-01-01".into())
        );
    }

    #[test]
    fn an_assignment_needs_a_name_and_an_equals_sign() {
        for argument in ["brand", "=Luna", " =Luna", ""] {
            assert!(argument.parse::<Assignment>().is_err(), "{argument:?}");
        }
    }
}
