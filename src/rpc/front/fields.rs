//! The fields of a call, from JSON or from a form, in which everything is text. What is null is absent.

use std::collections::HashMap;

use axum::{
    body::Bytes,
    extract::{FromRequest, Multipart, Request, multipart::MultipartError},
    http::{HeaderMap, StatusCode, header},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

use crate::{
    domain::{Checks, Flaw, JsonMap},
    media::Upload,
};

use super::refusal::Refusal;

/// The files of a form that a request is to work from.
const PICTURES: [&str; 3] = ["image", "image[]", "input_reference"];
/// The fields of links to the same.
const PICTURE_LINKS: [&str; 3] = ["image", "images", "input_reference"];
const LINK: &str = "a link, as a text or as image_url of an object";
const NO_PICTURE: &str = "must be a picture: PNG, JPEG or WebP";

/// What is left of a call, and what is wrong with what has been taken.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) values: JsonMap,
    pub(super) checks: Checks,
    /// The files of a form, and what links hold.
    pub(super) uploads: Vec<Upload>,
    /// Those of them that the request is to work from: the name of the field, and the link that stands for the file. The other
    /// links stand in the values.
    pictures: Vec<(String, String)>,
}

impl Fields {
    /// Of JSON, and of nothing else: a page may send other types without asking.
    pub(super) async fn of_json(call: Request) -> Result<Self, Refusal> {
        if content_type(call.headers()) != "application/json" {
            let words = "the content type must be application/json";
            return Err(Refusal::malformed(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                words,
            ));
        }
        let bytes = Bytes::from_request(call, &()).await;
        let bytes = bytes.map_err(|rejected| unread(rejected.status(), &rejected))?;
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(values)) => Ok(Self {
                values: values.into_iter().filter(|(_, it)| !it.is_null()).collect(),
                ..Self::default()
            }),
            Ok(_) => Err(malformed("the body must be an object")),
            Err(error) => Err(malformed(&format!("the body is no JSON: {error}"))),
        }
    }

    /// Of what stands behind the path.
    pub(super) fn of_query(query: HashMap<String, String>) -> Self {
        let values = query.into_iter().map(|(name, text)| (name, text.into()));
        Self {
            values: values.collect(),
            ..Self::default()
        }
    }

    /// The same, or of a form, as official clients send it where pictures may come along.
    pub(super) async fn of_json_or_form(call: Request) -> Result<Self, Refusal> {
        if content_type(call.headers()) != "multipart/form-data" {
            return Self::of_json(call).await;
        }
        let form = Multipart::from_request(call, &()).await;
        let mut form = form.map_err(|rejected| unread(rejected.status(), &rejected))?;
        let mut fields = Self::default();
        while let Some(part) = form.next_field().await.map_err(broken)? {
            let name = part.name().unwrap_or_default().to_owned();
            if part.file_name().is_some() {
                fields.add_file(&name, part.bytes().await.map_err(broken)?);
            } else {
                fields.add_text(&name, part.text().await.map_err(broken)?);
            }
        }
        Ok(fields)
    }

    /// A picture takes the place of a link.
    fn add_file(&mut self, name: &str, content: Bytes) {
        let is_source = PICTURES.contains(&name);
        if !is_source && name != "mask" && !name.starts_with("variables[") {
            let words = "must be left out: this file has no place in a request";
            return self.checks.add(name, Flaw::NotSupported.says(words));
        }
        let Some(upload) = Upload::of(content) else {
            return self.checks.add(name, Flaw::Malformed.says(NO_PICTURE));
        };
        let link = upload.link.clone();
        match is_source {
            true => self.pictures.push((name.to_owned(), link)),
            false => self.add_text(name, link),
        }
        self.uploads.push(upload);
    }

    /// `variables[style]` is a field of an object, `user_media_urls[]` an entry of a list, as is what comes more than once.
    fn add_text(&mut self, name: &str, text: String) {
        let parts = name.strip_suffix(']').and_then(|it| it.split_once('['));
        let (outer, inner) = parts.map_or((name, None), |(outer, inner)| (outer, Some(inner)));
        let text = Value::from(text);
        let Some(value) = self.values.get_mut(outer) else {
            let value = match inner {
                None => text,
                Some("") => vec![text].into(),
                Some(inner) => JsonMap::from_iter([(inner.to_owned(), text)]).into(),
            };
            self.values.insert(outer.to_owned(), value);
            return;
        };
        match (value, inner) {
            (Value::Array(list), None | Some("")) => list.push(text),
            (value @ Value::String(_), None | Some("")) => {
                *value = vec![value.take(), text].into();
            }
            (Value::Object(object), Some(inner)) if !inner.is_empty() => {
                object.insert(inner.to_owned(), text);
            }
            _ => {
                let words = "must be given in one way, as a text, a list or fields of an object";
                self.checks.add(outer, Flaw::Conflict.says(words));
            }
        }
    }

    /// Whether the request is to work from pictures, right or wrong.
    pub(super) fn bring_pictures(&self) -> bool {
        let ours = ["user_media_urls", "variables"];
        let links = PICTURE_LINKS.iter().chain(&ours);
        let mut links = links.map(|name| self.values.contains_key(*name));
        let mut files = PICTURES.iter().map(|name| self.checks.tells(name));
        !self.pictures.is_empty() || links.any(|it| it) || files.any(|it| it)
    }

    /// What the request is to work from, by the names that OpenAI has for it: files first, then links.
    pub(super) fn pictures(&mut self) -> Vec<(String, String)> {
        let mut pictures = std::mem::take(&mut self.pictures);
        for name in PICTURE_LINKS {
            let links = self.take(name, LINK, |value| match value {
                Value::Array(values) => values.into_iter().map(link).collect(),
                value => Some(vec![link(value)?]),
            });
            let links: Vec<_> = links.unwrap_or_default();
            for link in links {
                pictures.push((name.to_owned(), self.keep(name, link)));
            }
        }
        pictures
    }

    pub(super) fn link(&mut self, name: &str) -> Option<String> {
        let link = self.take(name, LINK, link)?;
        Some(self.keep(name, link))
    }

    /// A link that holds the picture itself is as good as a file.
    fn keep(&mut self, name: &str, link: String) -> String {
        let Some(data) = link.strip_prefix("data:") else {
            return link;
        };
        let content = data.split_once(";base64,");
        let content = content.and_then(|(_, text)| BASE64_STANDARD.decode(text).ok());
        match content.and_then(|content| Upload::of(content.into())) {
            None => {
                self.checks.add(name, Flaw::Malformed.says(NO_PICTURE));
                link
            }
            Some(upload) => {
                let link = upload.link.clone();
                self.uploads.push(upload);
                link
            }
        }
    }

    /// What `read` makes of a field; what it makes nothing of is a mistake.
    fn take<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl Fn(Value) -> Option<T>,
    ) -> Option<T> {
        let found = read(self.values.remove(name)?);
        self.checks.require(found.is_some(), name, || {
            Flaw::Malformed.says(format!("must be {expected}"))
        });
        found
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.take(name, "a text", text)
    }

    pub(super) fn whole(&mut self, name: &str) -> Option<i64> {
        self.take(name, "a whole number", |value| match value {
            Value::String(text) => text.parse().ok(),
            value => value.as_i64(),
        })
    }

    pub(super) fn number(&mut self, name: &str) -> Option<f64> {
        self.take(name, "a number", number)
    }

    pub(super) fn flag(&mut self, name: &str) -> bool {
        let flag = self.take(name, "true or false", |value| match value {
            Value::String(text) => text.parse().ok(),
            value => value.as_bool(),
        });
        flag.unwrap_or(false)
    }

    pub(super) fn object(&mut self, name: &str) -> Option<JsonMap> {
        self.take(name, "an object", |value| match value {
            Value::String(text) => serde_json::from_str(&text).ok(),
            Value::Object(object) => Some(object),
            _ => None,
        })
    }

    pub(super) fn texts(&mut self, name: &str) -> Vec<String> {
        let texts = self.take(name, "a list of texts", |value| match value {
            Value::Array(values) => values.into_iter().map(text).collect(),
            value => Some(vec![text(value)?]),
        });
        texts.unwrap_or_default()
    }

    /// A number of a type of ours; one that does not fit it is as wrong as the largest that does.
    pub(super) fn small(&mut self, name: &str) -> Option<i32> {
        let number = self.whole(name)?;
        Some(i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX }))
    }
}

/// As a text, or as OpenAI has it.
fn link(value: Value) -> Option<String> {
    match value {
        Value::Object(mut object) => text(object.remove("image_url")?),
        value => text(value),
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

pub(super) fn number(value: Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        value => value.as_f64(),
    }
}

/// Without its parameters.
fn content_type(headers: &HeaderMap) -> String {
    let whole = headers.get(header::CONTENT_TYPE);
    let whole = whole.and_then(|value| value.to_str().ok());
    let kind = whole.unwrap_or_default().split(';').next();
    kind.unwrap_or_default().trim().to_ascii_lowercase()
}

fn malformed(words: &str) -> Refusal {
    Refusal::malformed(StatusCode::BAD_REQUEST, words)
}

fn broken(error: MultipartError) -> Refusal {
    unread(error.status(), &error)
}

fn unread(status: StatusCode, error: &dyn std::error::Error) -> Refusal {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::too_large(),
        _ => malformed(&format!("the body cannot be read: {error}")),
    }
}
