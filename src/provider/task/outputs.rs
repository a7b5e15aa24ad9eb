//! What a task has made.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use reqwest::Url;
use serde_json::{Value, json};

use super::{Engine, Kept, calls::address_in, trouble};
use crate::{
    domain::{
        JsonMap,
        profile::{Filler, Outcome},
    },
    provider::{Content, Output, OutputFile, Polled, ProviderError, Task, http::Effect},
};

/// Where a file is.
enum Found {
    Link(String),
    Bytes(Bytes),
    /// What should be base64 and is not.
    Garbled,
}

impl Engine {
    /// The output of a task that the service has called done with this answer.
    pub(super) async fn output(
        &self,
        task: &Task,
        values: &Filler,
        kept: &Kept,
        answer: &Value,
    ) -> Result<Polled, ProviderError> {
        let definition = self.definition(task);
        let result = &definition.result;
        let call = result.call();
        if call.path.is_none() && call.url.is_empty() {
            return self.files(task, answer).await;
        }
        let values = values.clone().with("answer", answer.clone());
        let named = kept.result.clone().or_else(|| address_in(call.url, answer));
        let url = self.address(&call, &values, named.as_deref())?;
        if result.bytes {
            return match self.file(task, url).await? {
                Ok(content) => Ok(Polled::Done(self.made(result, answer, vec![content], 0))),
                Err(error) => Ok(Polled::Failed(error)),
            };
        }
        let told = self.ask(&call, url, &values).await?;
        if told.status.is_success() {
            let answer = trouble::read(&definition.errors, &told, Effect::Asks)?;
            return self.files(task, &answer).await;
        }
        let status = told.status.as_u16();
        let json = serde_json::from_slice::<Value>(&told.body).unwrap_or_default();
        if matches!(status, 404 | 410) {
            let words = trouble::shown(&told.body);
            let detail = format!("the result has expired (status {status}): {words}");
            return Ok(Polled::Failed(ProviderError::Failed(detail)));
        }
        // What failed is the task, if the answer tells how, and else the asking.
        let passing = matches!(status, 408 | 425 | 429 | 500..);
        if !passing || trouble::has_code(&definition.errors, &json) {
            let error = trouble::of_task(&definition.errors, &json, Some(status));
            if let Some(error) = error.filter(|_| json.is_object()) {
                return Ok(Polled::Failed(error));
            }
        }
        Err(
            match trouble::read(&definition.errors, &told, Effect::Asks) {
                Err(error) => error,
                Ok(_) => ProviderError::Failed(format!("status {status}")),
            },
        )
    }

    async fn files(&self, task: &Task, answer: &Value) -> Result<Polled, ProviderError> {
        let definition = self.definition(task);
        let result = &definition.result;
        let mut found = Vec::new();
        for value in result.outputs.all(answer) {
            collect(value, &mut found);
        }
        let base64 = result
            .base64
            .all(answer)
            .into_iter()
            .filter_map(Value::as_str);
        found.extend(base64.map(in_base64));
        let filtered = filter(&mut found, result, answer);
        let is_garbled = found.iter().any(|it| matches!(it, Found::Garbled));
        found.retain(|it| !matches!(it, Found::Garbled));
        if found.is_empty() {
            let words = || trouble::words(&definition.errors, answer);
            if filtered > 0 {
                return Ok(Polled::Failed(ProviderError::Rejected(words())));
            }
            if let Some(error) = trouble::of_task(&definition.errors, answer, None) {
                return Ok(Polled::Failed(error));
            }
            if is_garbled {
                let detail = format!("no base64: {answer}");
                return Ok(Polled::Failed(ProviderError::InvalidOutput(detail)));
            }
        }
        let mut contents = Vec::new();
        for found in found {
            contents.push(match found {
                Found::Garbled => continue,
                Found::Bytes(bytes) => Content::Memory(bytes),
                Found::Link(link) => match self.file(task, self.api()?.resolve(&link)?).await? {
                    Ok(content) => content,
                    Err(error) => return Ok(Polled::Failed(error)),
                },
            });
        }
        Ok(Polled::Done(self.made(result, answer, contents, filtered)))
    }

    /// The file of an address; inside is why it will never be had, outside why not now.
    async fn file(
        &self,
        task: &Task,
        mut url: Url,
    ) -> Result<Result<Content, ProviderError>, ProviderError> {
        let api = self.authorized("GET", &mut url, &[])?;
        match api.fetch_any(&url, &[task.media_type.into()]).await {
            Ok(fetched) => Ok(Ok(Content::File(fetched.file))),
            Err(error) => {
                if !error.why.is_passing() {
                    return Ok(Err(error.into()));
                }
                Err(ProviderError::Transient {
                    detail: format!("an output cannot be had: {error} {}", error.detail),
                    retry_after: None,
                })
            }
        }
    }

    fn made(
        &self,
        result: &Outcome,
        answer: &Value,
        contents: Vec<Content>,
        filtered: u64,
    ) -> Output {
        let metadata = result.metadata.iter();
        let metadata =
            metadata.filter_map(|(name, at)| Some((name.clone(), at.first(answer)?.clone())));
        let mut metadata: JsonMap = metadata.collect();
        if filtered > 0 {
            metadata.insert("filtered".to_owned(), json!(filtered));
        }
        let seed = metadata.get("seed").and_then(Value::as_u64);
        let said = match contents.is_empty() {
            true => answer.to_string(),
            false => String::new(),
        };
        let files = contents.into_iter().map(|content| OutputFile {
            content,
            seed: seed.and_then(|seed| u32::try_from(seed).ok()),
            metadata: JsonMap::new(),
        });
        Output {
            files: files.collect(),
            metadata,
            answer: said,
        }
    }
}

/// All links and `data:` URLs in it.
fn collect(value: &Value, found: &mut Vec<Found>) {
    match value {
        Value::String(text) if text.starts_with("data:") => {
            found.push(in_base64(text));
        }
        Value::String(text)
            if ["https://", "http://", "/"]
                .iter()
                .any(|begin| text.starts_with(begin)) =>
        {
            found.push(Found::Link(text.clone()));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(items) => items.values().for_each(|item| collect(item, found)),
        _ => {}
    }
}

fn in_base64(text: &str) -> Found {
    decoded(text).map_or(Found::Garbled, Found::Bytes)
}

/// The bytes of base64, which may be a `data:` URL.
fn decoded(text: &str) -> Option<Bytes> {
    let text = match text.strip_prefix("data:") {
        Some(url) => url.split_once(";base64,")?.1,
        None => text,
    };
    BASE64_STANDARD.decode(text.trim()).ok().map(Bytes::from)
}

/// Takes out what the service's filter has blackened, and tells how many there are of it or of what is not even there.
fn filter(found: &mut Vec<Found>, result: &Outcome, answer: &Value) -> u64 {
    let told = result.filtered.all(answer);
    if let [Value::Number(count)] = told.as_slice() {
        return count.as_u64().unwrap_or(0);
    }
    let flags = told.into_iter().flat_map(|told| match told {
        Value::Array(flags) => flags.iter().collect(),
        flag => vec![flag],
    });
    let flags: Vec<bool> = flags.map(|flag| flag == &Value::Bool(true)).collect();
    let mut each = flags.iter();
    found.retain(|_| each.next() != Some(&true));
    flags.iter().filter(|flag| **flag).count() as u64
}
