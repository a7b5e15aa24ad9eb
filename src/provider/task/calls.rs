//! The calls of a profile, filled in and made.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::{CALL_TIME, Engine, auth::Signed, form};
use crate::{
    domain::{
        JobInput, JsonMap,
        profile::{Call, Filler, Pictures, Pointers},
    },
    provider::{
        ProviderError, Task, Unready,
        http::{Answer, Api, Effect},
    },
};

/// How a body is sent.
pub(super) enum Sent<'a> {
    Json(Value),
    /// Of its fields these are files.
    Form(Value, &'a [String]),
}

impl Engine {
    /// What templates may name.
    pub(super) fn values(&self, task: &Task) -> Result<Filler, ProviderError> {
        let input = &task.input;
        let json = serde_json::to_value(input)
            .map_err(|error| ProviderError::Failed(error.to_string()))?;
        let Value::Object(mut values) = json else {
            return Err(ProviderError::Failed(
                "the job's input is no object".to_owned(),
            ));
        };
        let model = input.model.as_ref().or(self.config.model.as_ref());
        let pictures = task.pictures.iter().map(|picture| {
            let base64 = BASE64_STANDARD.encode(&picture.content);
            match self.definition(task).pictures {
                Pictures::Base64 => base64,
                _ => format!("data:{};base64,{base64}", picture.format.content_type()),
            }
        });
        let media_urls: Vec<String> = match self.definition(task).pictures {
            Pictures::Links => input.media_urls.clone(),
            Pictures::DataUrls | Pictures::Base64 => pictures.collect(),
        };
        let webhook_url = task.webhook_url.as_ref().map(Url::as_str);
        let webhook_url = webhook_url.filter(|_| self.config.webhooks);
        let more = [
            ("attempt", json!(task.attempt)),
            ("instructed_prompt", json!(input.instructed_prompt())),
            ("job_id", json!(task.job_id)),
            ("media_type", json!(task.media_type)),
            ("media_urls", json!(media_urls)),
            ("model", json!(model)),
            ("model_name", json!(model)),
            ("submission_key", json!(task.submission_key)),
            ("webhook_url", json!(webhook_url)),
        ];
        values.extend(more.map(|(name, value)| (name.to_owned(), value)));
        Ok(Filler::new(values))
    }

    /// Where a call goes: to the address that the service has named, or to its path.
    pub(super) fn address(
        &self,
        call: &Call<'_>,
        values: &Filler,
        named: Option<&str>,
    ) -> Result<Url, ProviderError> {
        let api = self.api()?;
        if let Some(named) = named {
            return api.resolve(named);
        }
        let path = call
            .path
            .ok_or_else(|| ProviderError::Failed("the service has named no address".to_owned()))?;
        let (path, query) = path.fill(values).map_err(ProviderError::Failed)?;
        let mut url = api.base().clone();
        url.set_path(&format!("{}{path}", url.path()));
        url.set_query(query.as_deref());
        Ok(url)
    }

    pub(super) fn api(&self) -> Result<&Api, ProviderError> {
        Ok(self.api.as_ref().map_err(Clone::clone)?)
    }

    /// With the credentials of now, for an address that may get them.
    pub(super) fn authorized(
        &self,
        method: &str,
        url: &mut Url,
        body: &[u8],
    ) -> Result<Api, ProviderError> {
        let call = Signed { method, url, body };
        let credentials = self.credentials(&call).map_err(Unready::configuration)?;
        let api = self.api()?.with_credentials(credentials.headers);
        let Some((name, value)) = credentials.query.filter(|_| api.trusts(url)) else {
            return Ok(api);
        };
        url.query_pairs_mut().append_pair(&name, &value);
        Ok(api.hiding(value))
    }

    /// Makes a call that may be repeated.
    pub(super) async fn ask(
        &self,
        call: &Call<'_>,
        url: Url,
        values: &Filler,
    ) -> Result<Answer, ProviderError> {
        let body = call.body.map(|body| body.fill(values)).transpose();
        let body = body.map_err(ProviderError::Failed)?;
        let timeout = self.config.timeout.unwrap_or(CALL_TIME);
        let body = body.map(Sent::Json);
        self.send(call, url, body, Effect::Asks, timeout).await
    }

    pub(super) async fn send(
        &self,
        call: &Call<'_>,
        mut url: Url,
        body: Option<Sent<'_>>,
        effect: Effect,
        timeout: Duration,
    ) -> Result<Answer, ProviderError> {
        let failed = |error: String| ProviderError::Failed(error);
        let json = match &body {
            Some(Sent::Json(Value::Null)) => Some(b"{}".to_vec()),
            Some(Sent::Json(body)) => {
                Some(serde_json::to_vec(body).map_err(|error| failed(error.to_string()))?)
            }
            _ => None,
        };
        let signed = json.as_deref().unwrap_or_default();
        let api = self.authorized(call.method, &mut url, signed)?;
        let method = Method::from_bytes(call.method.as_bytes())
            .map_err(|error| failed(error.to_string()))?;
        let trusted = api.trusts(&url);
        let mut request = api.request_to(method, url)?.timeout(timeout);
        let general = &self.config.profile.base.headers;
        let webhook = self.webhook().filter(|_| effect == Effect::Pays);
        let fixed = general
            .iter()
            .chain(call.headers)
            .chain(webhook.iter().flat_map(|it| &it.headers));
        for (name, value) in fixed.filter(|_| trusted) {
            request = request.header(name, value);
        }
        if let Some(Sent::Form(body, files)) = body {
            request = request.multipart(form::of(&body, files));
        } else if let Some(json) = json {
            let json_type = "application/json";
            request = request.header("content-type", json_type).body(json);
        }
        api.ask(request, effect).await
    }
}

/// Puts the job's settings, and over them its style, where the profile says; what is there stays.
pub(super) fn merge_settings(body: &mut Value, at: &str, input: &JobInput) {
    let mut settings = input.settings.clone();
    settings.extend(input.style.clone());
    if settings.is_empty() {
        return;
    }
    let mut place = body;
    for step in at.split('/').skip(1) {
        place = object(place).entry(step).or_insert(Value::Null);
    }
    let place = object(place);
    for (key, value) in settings {
        place.entry(key).or_insert(value);
    }
}

fn object(value: &mut Value) -> &mut JsonMap {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("an object by now")
}

/// The address that an answer names.
pub(super) fn address_in(pointers: &Pointers, answer: &Value) -> Option<String> {
    pointers.text(answer).map(|url| url.trim().to_owned())
}

/// A number, also as text and with a percent sign.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().trim_end_matches('%').parse().ok(),
        _ => None,
    }
}
