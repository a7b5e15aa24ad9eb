//! Bodies as forms, for services that take nothing else.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::multipart::{Form, Part};
use serde_json::Value;

/// Each key of the table as a field. One of `files` that holds a `data:` URL is a file.
pub(super) fn of(body: &Value, files: &[String]) -> Form {
    let mut form = Form::new();
    for (name, value) in body.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        form = match files.contains(name).then(|| file(&text)).flatten() {
            Some(file) => form.part(name.clone(), file),
            None => form.text(name.clone(), text),
        };
    }
    form
}

fn file(url: &str) -> Option<Part> {
    let (content_type, base64) = url.strip_prefix("data:")?.split_once(";base64,")?;
    let bytes = BASE64_STANDARD.decode(base64).ok()?;
    let (_, extension) = content_type.split_once('/')?;
    let part = Part::bytes(bytes).file_name(format!("picture.{extension}"));
    part.mime_str(content_type).ok()
}
