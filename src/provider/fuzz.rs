//! What of this layer reads bytes from outside, see [`crate::fuzzing`].

use bytes::Bytes;
use chrono::DateTime;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::{WebhookCall, clean, comfyui, exec, http::Words, openai::events::Events};

use crate::domain::fuzz::Target;

/// Longer than what is fed.
const MAX_EVENT_BYTES: usize = 1 << 20;

pub(crate) const TARGETS: &[Target] = &[
    (
        "webhook",
        &[
            "webhook-id: a\nwebhook-timestamp: 0\nwebhook-signature: v1,aGk= v1,\n\n{\"id\": \"t-1\"}",
            "x-fal-webhook-request-id: a\nx-fal-webhook-user-id: b\nx-fal-webhook-timestamp: 0\nx-fal-webhook-signature: 00ff\n\n{}",
        ],
        webhook,
    ),
    (
        "refusal",
        &[
            r#"{"error": {"code": "content_policy_violation", "message": "no", "innererror": {"code": 7}}}"#,
            r#"{"detail": [{"msg": "no"}], "error": "false"}"#,
            "Bad gateway",
        ],
        refusal,
    ),
    (
        "events",
        &[
            ": ping\n\nevent: a\ndata: {\"x\":1}\n\nid: 7\r\ndata:two\r\ndata: lines\r\n\r\ndata: cut",
        ],
        events,
    ),
    (
        "progress",
        &["progress 0.42 drawing hills\nprogress 50%\r\nout_time_us=1200000\n"],
        exec::fuzz::progress,
    ),
    (
        "comfyui-message",
        &[
            r#"{"type": "progress_state", "data": {"prompt_id": "a", "nodes": {"3": {"state": "running", "value": 2, "max": 20}}}}"#,
            r#"{"type": "executing", "data": {"node": null, "prompt_id": "a"}}"#,
            "\0\0\0\u{1}\0\0\0\u{2}picture",
        ],
        comfyui::fuzz::message,
    ),
    (
        "told-metadata",
        &[r#"{"model": "m", "deep": [[{"a": "\u0000b"}]], "cost": 1e300}"#],
        metadata,
    ),
];

/// Nobody but the service has the secret.
fn webhook(bytes: &[u8]) {
    let head = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = bytes.split_at(head.unwrap_or(bytes.len()));
    let lines = String::from_utf8_lossy(head).into_owned();
    let headers = lines.lines().filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    });
    let call = WebhookCall {
        task_id: None,
        headers: headers.collect::<HeaderMap>(),
        body: Bytes::copy_from_slice(body),
        at: DateTime::UNIX_EPOCH,
    };
    assert!(
        call.verify_standard("whsec_MDEyMzQ1Njc4OWFiY2RlZg==")
            .is_err()
    );
    assert!(call.verify_fal(&[vec![7; 32], Vec::new()]).is_err());
}

fn refusal(bytes: &[u8]) {
    let words = Words::of(bytes);
    let _ = (words.say_rejected(), words.detail(), words.without_status());
}

/// The same events however they come.
fn events(bytes: &[u8]) {
    let whole = Events::new(MAX_EVENT_BYTES)
        .feed(bytes)
        .expect("it is made here");
    let mut cut = Events::new(MAX_EVENT_BYTES);
    let parts = bytes
        .chunks(3)
        .flat_map(|part| cut.feed(part).expect("it is made here"));
    assert_eq!(parts.collect::<Vec<_>>(), whole);
}

fn metadata(bytes: &[u8]) {
    if let Ok(Value::Object(told)) = serde_json::from_slice(bytes) {
        let text = Value::Object(clean::map(told)).to_string();
        // A backslash of the text itself is doubled.
        let text = text.replace("\\\\", "");
        assert!(!text.contains("\\u0000"));
    }
}
