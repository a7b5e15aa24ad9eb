//! What the front reads of a body, see [`crate::fuzzing`].

use axum::{body::Body, extract::Request, http::header};
use futures::FutureExt;

use super::fields::Fields;
use crate::domain::Language;

pub(in crate::rpc) fn body(bytes: &[u8]) {
    let call = Request::builder().header(header::CONTENT_TYPE, "application/json");
    let call = call
        .body(Body::from(bytes.to_vec()))
        .expect("it is made here");
    let read = Fields::of_json(call).now_or_never();
    let Ok(mut fields) = read.expect("the body is at hand") else {
        return;
    };
    let _ = (
        fields.bring_pictures(),
        fields.pictures(),
        fields.link("mask"),
    );
    let _ = (
        fields.text("prompt"),
        fields.small("n"),
        fields.number("speed"),
        fields.flag("stream"),
    );
    let _ = (fields.object("variables"), fields.texts("user_media_urls"));
    for violation in fields.checks.into_violations() {
        assert!(!violation.sentence(Language::En).is_empty());
    }
}
