//! What a service's refusal means for the job.

use std::time::Duration;

use reqwest::{
    StatusCode,
    header::{DATE, HeaderMap, RETRY_AFTER},
};
use serde_json::Value;

use super::Effect;
use crate::provider::{Lack, ProviderError, Unready};

/// Most characters of an answer that is not what the protocol says.
const MAX_CHARS: usize = 500;

/// Parts of codes and types by which services tell that their content policy refuses.
const REJECTED: [&str; 7] = [
    "contentpolicy",
    "contentfilter",
    "moderation",
    "safety",
    "nsfw",
    "responsibleai",
    "sensitivecontent",
];

/// The same where they have no code for it.
const REJECTING: [&str; 5] = [
    "content filter",
    "content management policy",
    "content policy",
    "nsfw",
    "safety system",
];

/// Parts of codes by which services tell that an account cannot pay.
const UNPAID: [&str; 3] = ["insufficientquota", "billing", "credit"];

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
        let error = Some(&json["error"]).filter(|error| !says_nothing(error));
        let places: Vec<_> = error.into_iter().chain([&json]).collect();
        let message = places.iter().find_map(|place| {
            let words = [place, &place["message"], &place["detail"], &place["msg"]];
            words.into_iter().find_map(Value::as_str)
        });
        Self {
            codes: codes(&places).join(" ").to_lowercase(),
            message: match message {
                Some(message) => message.to_owned(),
                None => places[0].to_string().chars().take(MAX_CHARS).collect(),
            },
        }
    }

    /// Whether its codes have one of these parts, however they are written.
    fn say(&self, any_of: &[&str]) -> bool {
        let mut codes = self.codes.clone();
        codes.retain(char::is_alphanumeric);
        any_of.iter().any(|part| codes.contains(part))
    }

    pub(in crate::provider) fn say_rejected(&self) -> bool {
        let message = self.message.to_lowercase();
        self.say(&REJECTED) || REJECTING.iter().any(|part| message.contains(part))
    }

    pub(in crate::provider) fn detail(&self) -> String {
        let parts = [self.codes.trim(), self.message.trim()];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(": ")
    }

    /// What they mean where no status tells more.
    pub(in crate::provider) fn without_status(&self) -> ProviderError {
        match self.say_rejected() {
            true => ProviderError::Rejected(self.detail()),
            false => ProviderError::Failed(self.detail()),
        }
    }
}

/// Whether an `error` that stands in an answer is none.
pub(in crate::provider) fn says_nothing(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Object(parts) => parts.values().all(says_nothing),
        Value::Array(parts) => parts.iter().all(says_nothing),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// Codes and types of an error, of one within it, and beside it; a single word in the place of an error is one too.
fn codes(places: &[&Value]) -> Vec<String> {
    let within = places.iter().map(|place| &place["innererror"]);
    let all = places.iter().copied().chain(within);
    let named = all.flat_map(|place| ["code", "type", "error_type"].map(|key| text(&place[key])));
    let word = places[0].as_str().filter(|text| !text.contains(' '));
    let codes = word.map(str::to_owned).into_iter().chain(named);
    codes.filter(|code| !code.is_empty()).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// What an answer with this status means.
pub(super) fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    words: &Words,
    effect: Effect,
) -> ProviderError {
    let detail = format!("{}: {}", status.as_u16(), words.detail());
    if words.say_rejected() {
        return ProviderError::Rejected(detail);
    }
    let lacks = |lack, detail| ProviderError::NotReady(Unready { lack, detail });
    if words.say(&UNPAID) || status == StatusCode::PAYMENT_REQUIRED {
        return lacks(Lack::Credit, detail);
    }
    let retry_after = retry_after(headers);
    match status.as_u16() {
        401 | 403 => lacks(Lack::Credentials, detail),
        // Behind the gateway that gave up, or heard nothing that it understood, the work may go on.
        408 | 502 | 504 | 520 | 524 if effect == Effect::Pays => {
            ProviderError::OutcomeUnknown(detail)
        }
        // It is too busy for anybody, whatever the job is.
        429 | 503 | 529
            if effect == Effect::Pays && retry_after.is_none_or(|rest| rest.is_zero()) =>
        {
            ProviderError::Unavailable(detail)
        }
        408 | 409 | 425 | 429 | 500.. => ProviderError::Transient {
            detail,
            retry_after,
        },
        400 | 413 | 414 | 415 | 422 => ProviderError::UnfitInput(detail),
        _ => ProviderError::Failed(detail),
    }
}

/// In seconds, or as a date (RFC 9110, section 10.2.3), which counts from that of the answer.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let answered = date(headers.get(DATE)?.to_str().ok()?)?;
    date(text)?.duration_since(answered).ok()
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
            (r#"{"error":"","message":"odd"}"#, "", "odd"),
            (
                r#"{"error":{"code":null,"message":""},"message":"odd"}"#,
                "",
                "odd",
            ),
            (
                r#"{"detail":[{"msg":"bad"}]}"#,
                "",
                r#"{"detail":[{"msg":"bad"}]}"#,
            ),
            (
                r#"{"code":"content_policy_violation","error":"Prompt rejected"}"#,
                "content_policy_violation",
                "Prompt rejected",
            ),
            (
                r#"{"error":"content_policy_violation"}"#,
                "content_policy_violation",
                "content_policy_violation",
            ),
            (r#"{"error":true,"message":"odd"}"#, "", "odd"),
            (
                r#"{"error":{"message":"x","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
                "responsibleaipolicyviolation",
                "x",
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
        let camel = r#"{"error":{"code":"ResponsibleAIPolicyViolation"}}"#;
        let only_said =
            r#"{"error":"Your request was rejected as a result of our safety system."}"#;
        for (status, body, effect, expected) in [
            (400, policy, Effect::Pays, "Rejected"),
            (400, camel, Effect::Pays, "Rejected"),
            (400, only_said, Effect::Pays, "Rejected"),
            (502, "", Effect::Pays, "OutcomeUnknown"),
            (502, "", Effect::Asks, "Transient"),
            (503, "", Effect::Pays, "Transient"),
            (520, "", Effect::Pays, "OutcomeUnknown"),
            (400, "{}", Effect::Pays, "UnfitInput"),
            (401, "{}", Effect::Pays, "NotReady"),
            (429, unpaid, Effect::Pays, "NotReady"),
            (429, "{}", Effect::Pays, "Transient"),
            (500, "null", Effect::Pays, "Transient"),
            (504, "", Effect::Pays, "OutcomeUnknown"),
            (504, "", Effect::Asks, "Transient"),
            (302, "", Effect::Pays, "Failed"),
            (404, "", Effect::Asks, "Failed"),
        ] {
            assert_eq!(meaning(status, body, effect), expected, "{status} {body}");
        }
        for (status, effect, expected) in [
            (429, Effect::Pays, "Unavailable"),
            (503, Effect::Pays, "Unavailable"),
            (529, Effect::Pays, "Unavailable"),
            (500, Effect::Pays, "Transient"),
            (503, Effect::Asks, "Transient"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let alone = refusal(status, &HeaderMap::new(), &Words::default(), effect);
            assert!(
                format!("{alone:?}").starts_with(expected),
                "{status}: {alone:?}"
            );
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
        let dates = [
            (DATE, "Sun, 29 Nov 2026 10:00:00 GMT"),
            (RETRY_AFTER, "Sun, 29 Nov 2026 10:00:20 GMT"),
        ];
        let dates = dates.map(|(name, date)| (name, date.parse().unwrap()));
        let headers = HeaderMap::from_iter(dates);
        assert_eq!(super::retry_after(&headers), Some(Duration::from_secs(20)));
    }
}
