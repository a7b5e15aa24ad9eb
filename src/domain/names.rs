//! What people read of a feature or a template, in several languages, see docs/catalogue.md#names-and-languages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Checks, Error, Flaw, JsonMap, Variable, stored::OpenEnded, variable};

const MAX_LANGUAGES: usize = 32;
const MAX_LANGUAGE_CHARS: usize = 35;
const MAX_TRANSLATION_BYTES: usize = 256 * 1024;

/// The keys of `properties` and `template_data` that hold what people read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Names {
    /// At most 200 characters; empty: the name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// In which language the texts are that are not among the translations; empty: nobody said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub original_language: String,
    /// By language (BCP 47), at most 32.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub translations: BTreeMap<String, Translation>,
}

/// Texts in one language. One that is empty is that of the original.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Translation {
    /// At most 200 characters.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// At most 2,000 characters.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// By the name of a template's variable.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, VariableTranslation>,
}

/// What a form says of a variable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VariableTranslation {
    /// The caption.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// What the value is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// An example of a value.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub placeholder: String,
    /// The heading.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// What a number counts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// Labels by the value of the choice.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub choices: BTreeMap<String, String>,
}

/// An open-ended column with what people read of its row.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub struct Named<T> {
    /// First, so that their keys are not among those that the rest does not know.
    #[serde(flatten)]
    pub names: Names,
    /// What else the column holds.
    #[serde(flatten)]
    pub rest: T,
}

impl<T: OpenEnded> OpenEnded for Named<T> {
    fn of_unknown(extra: JsonMap) -> Self {
        Self {
            names: Names::default(),
            rest: T::of_unknown(extra),
        }
    }
}

impl Names {
    /// The names of these keys.
    pub const KEYS: [&'static str; 3] = ["display_name", "original_language", "translations"];

    /// The open-ended column that holds these beside the rest.
    pub fn stored_with(&self, rest: &impl Serialize) -> Result<Value, Error> {
        let mut column = serde_json::to_value(self).map_err(Error::internal)?;
        let rest = serde_json::to_value(rest).map_err(Error::internal)?;
        if let (Value::Object(column), Value::Object(rest)) = (&mut column, rest) {
            column.extend(rest);
        }
        Ok(column)
    }

    pub(super) fn check(&self, variables: &[Variable], checks: &mut Checks) {
        checks.line("display_name", &self.display_name, 200);
        let original = &self.original_language;
        checks.require(
            original.is_empty() || is_language(original),
            "original_language",
            || Flaw::Malformed.says(EXPECTED_LANGUAGE),
        );
        if !checks.count("translations", self.translations.len(), MAX_LANGUAGES) {
            return;
        }
        let bytes = serde_json::to_string(&self.translations).map_or(usize::MAX, |text| text.len());
        checks.require(bytes <= MAX_TRANSLATION_BYTES, "translations", || {
            let words =
                format!("must have at most {MAX_TRANSLATION_BYTES} bytes as JSON, has {bytes}");
            Flaw::TooLong
                .says(words)
                .max(MAX_TRANSLATION_BYTES)
                .found(bytes)
        });
        for (language, texts) in &self.translations {
            if !is_language(language) {
                checks.add(
                    "translations",
                    Flaw::Malformed
                        .says(format!(
                            "names {language:?}; a language {EXPECTED_LANGUAGE}"
                        ))
                        .found(language),
                );
                continue;
            }
            let path = format!("translations.{language}");
            let others = self.translations.keys().filter(|other| *other != language);
            let mut others = others.chain([original]);
            checks.require(
                !others.any(|other| other.eq_ignore_ascii_case(language)),
                &path,
                || Flaw::Duplicate.says("must be another language than that of the original and of each other translation").found(language),
            );
            texts.check(&path, variables, checks);
        }
    }
}

const EXPECTED_LANGUAGE: &str = "must be a BCP 47 tag, such as \"vi\" or \"pt-BR\"";

/// Whether it has the form of a language's tag (BCP 47).
pub fn is_language(tag: &str) -> bool {
    let is_part = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let starts_well = tag.split('-').next().is_some_and(|first| {
        first.len() >= 2 && first.bytes().all(|byte| byte.is_ascii_alphabetic())
    });
    tag.len() <= MAX_LANGUAGE_CHARS && starts_well && tag.split('-').all(is_part)
}

impl Translation {
    fn check(&self, path: &str, variables: &[Variable], checks: &mut Checks) {
        checks.line(&format!("{path}.display_name"), &self.display_name, 200);
        checks.text(&format!("{path}.description"), &self.description, 2_000);
        for (name, texts) in &self.variables {
            match variables.iter().find(|variable| variable.name == *name) {
                Some(variable) => {
                    texts.check(&format!("{path}.variables.{name}"), variable, checks);
                }
                None => checks.add(
                    format!("{path}.variables"),
                    Flaw::UnknownName
                        .says(format!("names {name:?}, which is not among the variables"))
                        .found(name),
                ),
            }
        }
    }
}

impl VariableTranslation {
    fn check(&self, path: &str, variable: &Variable, checks: &mut Checks) {
        let texts = [
            ("label", &self.label),
            ("description", &self.description),
            ("placeholder", &self.placeholder),
            ("group", &self.group),
            ("unit", &self.unit),
        ];
        variable::check_texts(path, texts, checks);
        for (value, label) in &self.choices {
            let known = variable.choices.iter().any(|choice| choice.value == *value);
            checks.require(known, &format!("{path}.choices"), || {
                let words = format!("names {value:?}, which is not among the choices");
                Flaw::UnknownName.says(words).found(value)
            });
            checks.line(&format!("{path}.choices"), label, 200);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_told_by_its_tag() {
        for good in ["vi", "en", "pt-BR", "zh-Hant-TW", "sr-Latn", "de-1996"] {
            assert!(is_language(good), "{good}");
        }
        for bad in [
            "",
            "v",
            "*",
            "vi_VN",
            "vi-",
            "-vi",
            "tiếng",
            "12",
            "vi-abcdefghi",
            &"a-".repeat(40),
        ] {
            assert!(!is_language(bad), "{bad}");
        }
    }
}
