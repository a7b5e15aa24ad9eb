//! What people read of features and templates between the contract and the domain, and in the caller's language.

use std::collections::HashMap;

use crate::domain::{Checks, Flaw, Names, Translation, VariableTranslation};

use super::{field_mask::UpdateMask, language::Languages, proto};

pub(super) fn names_from(
    display_name: String,
    original_language: String,
    translations: HashMap<String, proto::Translation>,
) -> Names {
    let texts = |texts: proto::VariableTranslation| VariableTranslation {
        label: texts.label,
        description: texts.description,
        placeholder: texts.placeholder,
        group: texts.group,
        unit: texts.unit,
        choices: texts.choices.into_iter().collect(),
    };
    let translation = |translation: proto::Translation| Translation {
        display_name: translation.display_name,
        description: translation.description,
        variables: map(translation.variables, texts),
    };
    Names {
        display_name,
        original_language,
        translations: map(translations, translation),
    }
}

pub(super) fn translations_message(names: Names) -> HashMap<String, proto::Translation> {
    let texts = |texts: VariableTranslation| proto::VariableTranslation {
        label: texts.label,
        description: texts.description,
        placeholder: texts.placeholder,
        group: texts.group,
        unit: texts.unit,
        choices: texts.choices.into_iter().collect(),
    };
    let translation = |translation: Translation| proto::Translation {
        display_name: translation.display_name,
        description: translation.description,
        variables: map(translation.variables, texts),
    };
    map(names.translations, translation)
}

fn map<A, B, M: FromIterator<(String, B)>>(
    entries: impl IntoIterator<Item = (String, A)>,
    convert: impl Fn(A) -> B,
) -> M {
    let entries = entries.into_iter();
    entries.map(|(key, value)| (key, convert(value))).collect()
}

/// Refuses to change the original texts to those of a translation.
pub(super) fn refuse_translated<T>(
    (language, original): (&str, &str),
    mask: &UpdateMask<T>,
    checks: &mut Checks,
) {
    let texts = ["display_name", "description", "template_data.variables"];
    let changes_texts = texts.iter().any(|path| mask.covers(path));
    let is_translated = !language.is_empty() && language != original;
    checks.require(!(is_translated && changes_texts), "language", || {
        Flaw::Conflict.says(format!(
            "must be that of the original, and these texts are in {language:?}: read it with an empty language, or change \
             translations.{language}"
        ))
    });
}

pub(super) fn localize_feature(feature: &mut proto::Feature, wanted: &Languages) {
    let chosen = choose(&feature.original_language, &feature.translations, wanted);
    let Some((language, texts)) = chosen else {
        return;
    };
    feature.language = language.to_owned();
    replace(&mut feature.display_name, &texts.display_name);
    replace(&mut feature.description, &texts.description);
}

pub(super) fn localize_template(template: &mut proto::Template, wanted: &Languages) {
    let chosen = choose(&template.original_language, &template.translations, wanted);
    let Some((language, texts)) = chosen else {
        return;
    };
    template.language = language.to_owned();
    replace(&mut template.display_name, &texts.display_name);
    replace(&mut template.description, &texts.description);
    let data = template.template_data.iter_mut();
    for variable in data.flat_map(|data| &mut data.variables) {
        if let Some(texts) = texts.variables.get(&variable.name) {
            localize_variable(variable, texts);
        }
    }
}

fn localize_variable(variable: &mut proto::TemplateVariable, texts: &proto::VariableTranslation) {
    for (own, text) in [
        (&mut variable.label, &texts.label),
        (&mut variable.description, &texts.description),
        (&mut variable.placeholder, &texts.placeholder),
        (&mut variable.group, &texts.group),
        (&mut variable.unit, &texts.unit),
    ] {
        replace(own, text);
    }
    for choice in &mut variable.choices {
        if let Some(label) = texts.choices.get(&choice.value) {
            replace(&mut choice.label, label);
        }
    }
}

/// The translation that suits the caller better than the original.
fn choose<'a>(
    original: &'a str,
    translations: &'a HashMap<String, proto::Translation>,
    wanted: &Languages,
) -> Option<(&'a str, &'a proto::Translation)> {
    let mut offered: Vec<_> = translations.keys().map(String::as_str).collect();
    // Where two suit equally well, it is always the same one.
    offered.sort_unstable();
    offered.push(original);
    let best = wanted.best(offered.into_iter())?;
    translations
        .get_key_value(best)
        .map(|(language, texts)| (language.as_str(), texts))
}

fn replace(own: &mut String, text: &str) {
    if !text.is_empty() {
        text.clone_into(own);
    }
}
