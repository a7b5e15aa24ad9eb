//! What a user writes is judged before it is taken, see docs/moderation.md.

use serde_json::Value;

use crate::{
    app::App,
    domain::{Checks, Error, Flaw, RequestDraft},
    provider::Verdict,
};

impl App {
    /// Fails if anything that the request says may not be here. What it should not show says nothing of what it will.
    pub(super) async fn check_content(&self, draft: &RequestDraft) -> Result<(), Error> {
        let mut given = Vec::new();
        for (place, values) in [
            ("variables", &draft.input.variables),
            ("extra", &draft.input.extra),
        ] {
            for (name, value) in values {
                collect(&format!("input.{place}.{name}"), value, &mut given);
            }
        }
        let prompt = Some(draft.user_prompt.trim()).filter(|prompt| !prompt.is_empty());
        let prompt = prompt.map(|prompt| ("user_prompt".to_owned(), prompt));
        let (fields, texts): (Vec<_>, Vec<_>) = prompt.into_iter().chain(given).unzip();
        if texts.is_empty() {
            return Ok(());
        }
        let judged = self.moderation.judge_texts(&texts).await;
        let verdicts = judged.map_err(|error| Error::ModerationUnavailable(error.into()))?;
        let mut checks = Checks::default();
        for (field, verdict) in fields.into_iter().zip(verdicts) {
            if let Verdict::Rejected(categories) = verdict {
                checks.add(field, Flaw::NotPermitted.says(words(&categories)));
            }
        }
        match checks.is_empty() {
            true => Ok(()),
            false => Err(Error::ContentRejected(checks.into_violations())),
        }
    }
}

/// All texts within a value, each by the field that holds it.
fn collect<'a>(field: &str, value: &'a Value, found: &mut Vec<(String, &'a str)>) {
    match value {
        Value::String(text) if !text.is_empty() => found.push((field.to_owned(), text)),
        Value::Array(values) => values.iter().for_each(|it| collect(field, it, found)),
        Value::Object(values) => values.values().for_each(|it| collect(field, it, found)),
        _ => {}
    }
}

fn words(categories: &[String]) -> String {
    match categories {
        [] => "says what may not be here".to_owned(),
        categories => format!("says what may not be here: {}", categories.join(", ")),
    }
}
