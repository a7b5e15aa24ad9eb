//! What of this layer reads bytes from outside, see [`crate::fuzzing`].

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, header},
};
use prost::Message;

use super::{
    deadline, feature, front,
    guard::{AccessSettings, Guard},
    http, json, proto, request, template,
};
use crate::domain::{Checks, Error, Language, fuzz::Target};

pub(crate) const TARGETS: &[Target] = &[
    (
        "oembed",
        &[
            "url=https%3A%2F%2Fatelier.example.com%2Fs%2FAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&format=json&maxwidth=640",
        ],
        http::read_oembed,
    ),
    (
        "create-request",
        &["\u{8}\u{7}\u{18}\u{1}*\u{9}A lantern"],
        create_request,
    ),
    (
        "create-feature",
        &["\n\u{6}poster\u{12}\u{1}a"],
        create_feature,
    ),
    (
        "create-template",
        &["\u{8}\u{1}\u{12}\u{4}sale"],
        create_template,
    ),
    (
        "front-json",
        &[
            r#"{"model": "poster", "prompt": "A lantern", "n": 2, "size": "1024x1024", "user_media_urls": ["https://a.vn/b.png"], "variables": {"place": "x"}}"#,
            r#"{"images": [{"image_url": "data:image/png;base64,iVBORw0KGgo="}], "seconds": "4", "stream": true}"#,
        ],
        front::fuzz::body,
    ),
    (
        "host",
        &[
            "example.com:443",
            "[::1]:80",
            "user@127.0.0.1",
            "localhost.",
            "xn--a.vn",
            "1.0.0.127.in-addr.arpa",
        ],
        host,
    ),
    ("grpc-timeout", &["99999999H", "1m", "0n"], timeout),
];

fn create_request(bytes: &[u8]) {
    let Ok(message) = proto::CreateRequestRequest::decode(bytes) else {
        return;
    };
    let checks = request::check_message(&message, Checks::default());
    let draft = request::draft(message);
    let _ = (
        draft.fingerprint(),
        draft.has_valid_key(),
        draft.tells_feature(),
    );
    tell(checks);
    json::to_struct(draft.metadata);
}

fn create_feature(bytes: &[u8]) {
    if let Ok(message) = proto::CreateFeatureRequest::decode(bytes) {
        let (draft, checks) = feature::message::draft(message);
        if let Err(Error::Validation(violations)) = draft.check(checks) {
            assert!(
                violations
                    .into_iter()
                    .all(|it| !it.sentence(Language::Vi).is_empty())
            );
        }
    }
}

fn create_template(bytes: &[u8]) {
    if let Ok(message) = proto::CreateTemplateRequest::decode(bytes) {
        let (_, checks) = template::message::draft(message);
        tell(checks);
    }
}

/// None but these names are let in, however they are written.
fn host(bytes: &[u8]) {
    let Ok(name) = str::from_utf8(bytes) else {
        return;
    };
    let guard = Guard::new(AccessSettings::default());
    let call = Request::builder()
        .header(header::HOST, name)
        .header(header::ORIGIN, name);
    let Ok(call) = call.body(Body::empty()) else {
        return;
    };
    if guard.admit(&call).is_ok() {
        let lower = name.to_ascii_lowercase();
        let ours = ["localhost", "127.", "[::1]", "[::ffff:127."];
        assert!(
            ours.iter().any(|host| lower.contains(host)),
            "{name:?} is let in"
        );
    }
}

fn timeout(bytes: &[u8]) {
    let Ok(value) = header::HeaderValue::from_bytes(bytes) else {
        return;
    };
    let headers = HeaderMap::from_iter([(header::HeaderName::from_static("grpc-timeout"), value)]);
    let _ = deadline::granted(&headers);
}

fn tell(checks: Checks) {
    for violation in checks.into_violations() {
        assert!(!violation.sentence(Language::Vi).is_empty());
    }
}
