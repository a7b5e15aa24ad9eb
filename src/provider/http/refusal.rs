//! What a service's refusal means for the job.

use std::time::Duration;

use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};
use serde_json::Value;

use super::Effect;
use crate::provider::ProviderError;

/// Most characters of an answer that is not what the protocol says.
const MAX_CHARS: usize = 500;

/// Parts of codes and types by which services tell that their content policy refuses.
const REJECTED: [&str; 8] = [
    "content_policy",
    "content_filter",
    "moderation",
    "safety",
    "nsfw",
    "responsible_ai",
    "sensitive_content",
    "sensitivecontent",
];

/// Parts of codes by which services tell that an account cannot pay.
const UNPAID: [&str; 3] = ["insufficient_quota", "billing", "credit"];

/// What a service says of an error: in an object `error`, beside it, or as plain text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::provider) struct Words {
    /// Codes and types, which may be numbers, in small letters.
    codes: String,
    message: String,
}

impl Words {
    pub(in crate::provider) fn of(body: &[u8]) -> Self {
        let Ok(json) = serde_json::from_slice::<Value>(body) else {
            let text = String::from_utf8_lossy(body);
            return Self {
                codes: String::new(),
                message: text.chars().take(MAX_CHARS).collect(),
            };
        };
        let error = match &json["error"] {
            Value::Null => &json,
            error => error,
        };
        let codes = ["code", "type", "error_type"].map(|key| text(&error[key]));
        let message = [error, &error["message"], &error["detail"], &error["msg"]];
        let message = message.into_iter().find_map(Value::as_str);
        Self {
            codes: codes.join(" ").to_lowercase(),
            message: match message {
                Some(message) => message.to_owned(),
                None => error.to_string().chars().take(MAX_CHARS).collect(),
            },
        }
    }

    fn say(&self, any_of: &[&str]) -> bool {
        any_of.iter().any(|part| self.codes.contains(part))
    }

    pub(in crate::provider) fn detail(&self) -> String {
        let parts = [self.codes.trim(), self.message.trim()];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(": ")
    }

    /// What they mean where no status tells more.
    pub(in crate::provider) fn without_status(&self) -> ProviderError {
        match self.say(&REJECTED) {
            true => ProviderError::Rejected(self.detail()),
            false => ProviderError::Failed(self.detail()),
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// What an answer with this status means.
pub(in crate::provider) fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    words: &Words,
    effect: Effect,
) -> ProviderError {
    let detail = format!("{}: {}", status.as_u16(), words.detail());
    if words.say(&REJECTED) {
        return ProviderError::Rejected(detail);
    }
    if words.say(&UNPAID) || status == StatusCode::PAYMENT_REQUIRED {
        return ProviderError::Refused {
            sentence: "its account has no credit left".to_owned(),
            detail,
        };
    }
    match status.as_u16() {
        401 | 403 => ProviderError::Refused {
            sentence: "its credentials are not accepted".to_owned(),
            detail,
        },
        // Behind the gateway that gave up, the work may go on.
        408 | 504 | 524 if effect == Effect::Pays => ProviderError::OutcomeUnknown(detail),
        408 | 409 | 425 | 429 | 500.. => ProviderError::Transient {
            detail,
            retry_after: retry_after(headers),
        },
        400 | 413 | 414 | 415 | 422 => ProviderError::UnfitInput(detail),
        _ => ProviderError::Failed(detail),
    }
}

/// In seconds (RFC 9110, section 10.2.3); a date, which no such service sends, counts as none.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = text.trim().parse::<f64>().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(body: &str) -> (String, String) {
        let words = Words::of(body.as_bytes());
        (words.codes.trim().to_owned(), words.message)
    }

    #[test]
    fn errors_are_read_in_every_form_that_services_write_them() {
        for (body, codes, message) in [
            (
                r#"{"error":{"code":"x","type":"Y","message":"no"}}"#,
                "x y",
                "no",
            ),
            (
                r#"{"error":{"code":429,"type":null,"message":"slow"}}"#,
                "429",
                "slow",
            ),
            (r#"{"error":"prompt required"}"#, "", "prompt required"),
            (
                r#"{"detail":"late","error_type":"request_timeout"}"#,
                "request_timeout",
                "late",
            ),
            (r#"{"error":null,"message":"odd"}"#, "", "odd"),
            (
                r#"{"detail":[{"msg":"bad"}]}"#,
                "",
                r#"{"detail":[{"msg":"bad"}]}"#,
            ),
            ("<html>no</html>", "", "<html>no</html>"),
            ("", "", ""),
        ] {
            let (found, said) = words(body);
            let found: Vec<_> = found.split_whitespace().collect();
            assert_eq!(
                (found.join(" ").as_str(), said.as_str()),
                (codes, message),
                "{body}"
            );
        }
    }

    #[test]
    fn each_status_has_its_meaning() {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, "7".parse().unwrap())]);
        let meaning = |status, body: &str, effect| {
            let status = StatusCode::from_u16(status).unwrap();
            let refusal = refusal(status, &headers, &Words::of(body.as_bytes()), effect);
            format!("{refusal:?}")
                .split([' ', '('])
                .next()
                .unwrap()
                .to_owned()
        };
        let policy = r#"{"error":{"code":"content_policy_violation"}}"#;
        let unpaid = r#"{"error":{"code":"insufficient_quota"}}"#;
        for (status, body, effect, expected) in [
            (400, policy, Effect::Pays, "Rejected"),
            (400, "{}", Effect::Pays, "UnfitInput"),
            (401, "{}", Effect::Pays, "Refused"),
            (429, unpaid, Effect::Pays, "Refused"),
            (429, "{}", Effect::Pays, "Transient"),
            (500, "null", Effect::Pays, "Transient"),
            (504, "", Effect::Pays, "OutcomeUnknown"),
            (504, "", Effect::Asks, "Transient"),
            (302, "", Effect::Pays, "Failed"),
            (404, "", Effect::Asks, "Failed"),
        ] {
            assert_eq!(meaning(status, body, effect), expected, "{status} {body}");
        }
        let ProviderError::Transient { retry_after, .. } = refusal(
            StatusCode::TOO_MANY_REQUESTS,
            &headers,
            &Words::default(),
            Effect::Pays,
        ) else {
            panic!("transient");
        };
        assert_eq!(retry_after, Some(Duration::from_secs(7)));
    }
}
