//! What a run made, and what it means that it made nothing.

use std::time::Duration;

use codec::Kind;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::{
    domain::{JsonMap, MediaType},
    provider::{Content, Output, OutputFile, Polled, ProviderError, fetch::Unfetched, http::Api},
};

pub(super) const INTERRUPTED: &str = "the run was interrupted at the server";

const KINDS: [Kind; 3] = [Kind::Image, Kind::Video, Kind::Audio];

/// A file, by an address that may be relative to the server's.
pub(super) struct Made {
    url: String,
    metadata: JsonMap,
}

/// Asking has taken the time between.
pub(super) fn running() -> Polled {
    Polled::Running {
        poll_after: Duration::ZERO,
    }
}

/// The files of a run, by the outputs of its nodes; those of a preview only where there are no others.
pub(super) fn of_history(outputs: &Value) -> Vec<Made> {
    let nodes = outputs.as_object().into_iter().flatten();
    let files = nodes.flat_map(|(id, node)| {
        let lists = node.as_object().into_iter().flatten();
        let files = lists.flat_map(|(_, list)| list.as_array().into_iter().flatten());
        files
            .filter(|file| file["filename"].is_string())
            .map(move |file| (id, file))
    });
    let (saved, shown): (Vec<_>, Vec<_>) =
        files.partition(|(_, file)| file["type"] != json!("temp"));
    let files = if saved.is_empty() { shown } else { saved };
    files
        .into_iter()
        .map(|(id, file)| viewed(id, file))
        .collect()
}

fn viewed(node: &str, file: &Value) -> Made {
    let text = |key: &str| file[key].as_str().unwrap_or_default();
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("filename", text("filename"))
        .append_pair("subfolder", text("subfolder"))
        .append_pair("type", text("type"))
        .finish();
    Made {
        url: format!("view?{query}"),
        metadata: metadata(node, text("filename")),
    }
}

/// The outputs of a job of the Comfy API v2. Their types are those of lists, not of files.
pub(super) fn of_job(outputs: &Value) -> Vec<Made> {
    let outputs = outputs.as_array().into_iter().flatten();
    let outputs =
        outputs.filter(|it| !["text", "latent"].contains(&it["type"].as_str().unwrap_or_default()));
    let made = outputs.filter_map(|output| {
        let text = |key: &str| output[key].as_str().unwrap_or_default();
        Some(Made {
            url: output["url"].as_str()?.to_owned(),
            metadata: metadata(text("node_id"), text("name")),
        })
    });
    made.collect()
}

fn metadata(node: &str, name: &str) -> JsonMap {
    let pairs = [("node", json!(node)), ("filename", json!(name))];
    pairs
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

/// How long the run took, by its first and last message.
pub(super) fn times(messages: &Value) -> JsonMap {
    let times = messages.as_array().into_iter().flatten();
    let times = times.filter_map(|message| message[1]["timestamp"].as_u64());
    let (first, last) = (times.clone().min(), times.max());
    let took = first.zip(last).map(|(first, last)| last - first);
    let took = took.map(|took| ("execution_ms".to_owned(), json!(took)));
    took.into_iter().collect()
}

/// Gets the files of this type, of all that the server told. The run is paid for: what is away now is asked for again, and the run is not repeated.
pub(super) async fn fetch(
    api: &Api,
    media_type: MediaType,
    made: Vec<Made>,
    metadata: JsonMap,
    told: &Value,
) -> Result<Polled, ProviderError> {
    let mut files = Vec::new();
    for Made { url, metadata } in made {
        let fetched = match api.fetch_any(&api.resolve(&url)?, &KINDS).await {
            Ok(fetched) => fetched,
            // A text, a latent, a model.
            Err(error) if error.why == Unfetched::OtherType => continue,
            Err(error) if error.why.is_passing() => {
                return Err(ProviderError::Transient {
                    detail: format!("{error} {}", error.detail),
                    retry_after: None,
                });
            }
            Err(error) => return Ok(Polled::Failed(error.into())),
        };
        if MediaType::from(fetched.format.kind()) == media_type {
            files.push(OutputFile {
                content: Content::File(fetched.file),
                seed: None,
                metadata,
            });
        }
    }
    let answer = match files.is_empty() {
        true => told.to_string(),
        false => String::new(),
    };
    Ok(Polled::Done(Output {
        files,
        metadata,
        answer,
    }))
}

/// What an error of a node means.
pub(super) fn failed(words: &str, detail: String) -> ProviderError {
    let words = words.to_lowercase();
    let of_memory = ["outofmemory", "out of memory", "memoryerror"];
    match of_memory.iter().any(|it| words.contains(it)) {
        true => ProviderError::LimitExceeded(detail),
        false => ProviderError::Failed(detail),
    }
}
