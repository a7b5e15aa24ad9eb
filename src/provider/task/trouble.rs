//! What a service says that is wrong, by the places and words of its profile.

use serde_json::Value;

use crate::{
    domain::profile::Errors,
    provider::{
        ProviderError,
        http::{Answer, Effect},
    },
};

/// Most characters of an answer that are shown.
const MAX_CHARS: usize = 500;

/// The JSON of an answer that says that the call went well.
pub(super) fn read(errors: &Errors, told: &Answer, effect: Effect) -> Result<Value, ProviderError> {
    let answer = accepted(errors, told, effect)?;
    match has_code(errors, &answer) {
        false => Ok(answer),
        true => Err(of_task(errors, &answer, None)
            .unwrap_or_else(|| ProviderError::Failed(words(errors, &answer)))),
    }
}

/// The JSON of an answer whose status says that the call went well, whatever the JSON says.
pub(super) fn accepted(
    errors: &Errors,
    told: &Answer,
    effect: Effect,
) -> Result<Value, ProviderError> {
    let json = serde_json::from_slice::<Value>(&told.body);
    if !told.status.is_success() {
        let refused = told.refusal(effect);
        // The profile knows better, but not whether a gateway has lost the task.
        return Err(match (&refused, json) {
            (ProviderError::OutcomeUnknown(_), _) | (_, Err(_)) => refused,
            (_, Ok(json)) => known(errors, &json, None).unwrap_or(refused),
        });
    }
    match json {
        Ok(json) => Ok(json),
        Err(_) => {
            let detail = format!("the answer is no JSON: {}", shown(&told.body));
            Err(match effect {
                Effect::Pays => ProviderError::OutcomeUnknown(detail),
                Effect::Asks => ProviderError::Transient {
                    detail,
                    retry_after: None,
                },
            })
        }
    }
}

/// Why the task has failed, if the answer says that it has. The status is a code as well.
pub(super) fn of_task(
    errors: &Errors,
    answer: &Value,
    status: Option<u16>,
) -> Option<ProviderError> {
    // A service that has codes for what went well has words for it as well.
    let says =
        has_code(errors, answer) || errors.ok.is_empty() && errors.message.text(answer).is_some();
    let failed = || says.then(|| ProviderError::Failed(words(errors, answer)));
    known(errors, answer, status).or_else(failed)
}

/// Whether the answer has a code of an error.
pub(super) fn has_code(errors: &Errors, answer: &Value) -> bool {
    !codes(errors, answer).is_empty()
}

/// What the profile knows by its codes and words.
fn known(errors: &Errors, answer: &Value, status: Option<u16>) -> Option<ProviderError> {
    let mut codes = codes(errors, answer);
    codes.extend(status.map(|status| status.to_string()));
    let detail = words(errors, answer);
    let is = |list: &[String]| {
        list.iter()
            .any(|it| codes.iter().any(|code| code.eq_ignore_ascii_case(it)))
    };
    let all = detail.to_lowercase();
    if errors
        .rejected
        .iter()
        .any(|part| all.contains(&part.to_lowercase()))
    {
        Some(ProviderError::Rejected(detail))
    } else if is(&errors.again) {
        Some(ProviderError::Transient {
            detail,
            retry_after: None,
        })
    } else {
        is(&errors.input).then_some(ProviderError::UnfitInput(detail))
    }
}

fn codes(errors: &Errors, answer: &Value) -> Vec<String> {
    let codes = errors
        .code
        .all(answer)
        .into_iter()
        .filter_map(|code| match code {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
    codes.filter(|code| !errors.ok.contains(code)).collect()
}

/// The service's own words.
pub(super) fn words(errors: &Errors, answer: &Value) -> String {
    let mut words = codes(errors, answer);
    words.extend(errors.message.text(answer));
    match words.is_empty() {
        true => shown(answer.to_string().as_bytes()),
        false => words.join(": "),
    }
}

/// The beginning of an answer.
pub(super) fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body)
        .chars()
        .take(MAX_CHARS)
        .collect()
}
