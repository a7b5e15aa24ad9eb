//! What ComfyUI itself speaks. A job has the id that we give it, and the server runs what it gets twice twice.

use std::sync::{PoisonError, RwLock};

use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{ComfyUi, classes::Classes, outputs, vanished};
use crate::{
    domain::JsonMap,
    provider::{
        Polled, ProviderError, Task,
        http::{Api, Effect, Words},
    },
};

/// Where a job is.
pub(super) enum Standing {
    /// In the queue, or running.
    Open,
    /// With its entry of the history.
    Ended(Value),
    /// The server does not know it.
    Unknown,
}

/// Submits a workflow; its id, which is the key unless the server is too old for that.
pub(super) async fn submit(api: &Api, nodes: JsonMap, key: &str) -> Result<String, ProviderError> {
    let body = json!({ "prompt": nodes, "prompt_id": key, "client_id": key });
    let request = json_request(api, "prompt", &body)?;
    let asked = api.ask(request, Effect::Pays).await;
    let answer = asked.map_err(unread)?;
    match answer.status {
        StatusCode::OK => {
            let Ok(answer) = answer.json() else {
                let detail = "the answer to the submission cannot be read".to_owned();
                return Err(ProviderError::OutcomeUnknown(detail));
            };
            let id = answer.get("prompt_id").and_then(Value::as_str);
            Ok(id.unwrap_or(key).to_owned())
        }
        StatusCode::BAD_REQUEST => Err(unfit(&answer.body)),
        _ => match answer.refusal(Effect::Pays) {
            // Whoever answered so, the server may have the job.
            error @ ProviderError::Transient { .. } => match look(api, key).await {
                Ok(Some(id)) => Ok(id),
                Ok(None) => Err(error),
                Err(unseen) => Err(ProviderError::OutcomeUnknown(format!("{error}; {unseen}"))),
            },
            error => Err(error),
        },
    }
}

/// What it means that an answer to a submission is too long to read: that there was one.
pub(super) fn unread(error: ProviderError) -> ProviderError {
    match error {
        ProviderError::LimitExceeded(detail) => ProviderError::OutcomeUnknown(detail),
        error => error,
    }
}

fn json_request(
    api: &Api,
    path: &str,
    body: &Value,
) -> Result<reqwest::RequestBuilder, ProviderError> {
    let request = api.request(Method::POST, path)?;
    Ok(request
        .header("content-type", "application/json")
        .body(body.to_string()))
}

/// What the server's check of a workflow found, with its nodes and inputs.
pub(super) fn unfit(body: &[u8]) -> ProviderError {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &json["error"];
    let mut found: Vec<_> = ["message", "details"]
        .into_iter()
        .filter_map(|key| error[key].as_str())
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect();
    // The Comfy API v2 has them inside.
    let nodes = match &json["node_errors"] {
        Value::Null => &error["details"]["node_errors"],
        nodes => nodes,
    };
    for (id, node) in nodes.as_object().into_iter().flatten() {
        let class = node["class_type"].as_str().unwrap_or_default();
        let errors = node["errors"].as_array().or(node.as_array());
        for error in errors.into_iter().flatten() {
            let text = |keys: [&str; 2]| keys.into_iter().find_map(|key| error[key].as_str());
            let input = error["extra_info"]["input_name"].as_str();
            let input = input.or(error["field"].as_str()).unwrap_or_default();
            let message = text(["message", "reason"]).unwrap_or_default();
            let details = error["details"].as_str().unwrap_or_default();
            found.push(format!(
                "node {id} ({class}) {input}: {message} ({details})"
            ));
        }
    }
    if found.is_empty() {
        found.push(Words::of(body).detail());
    }
    let detail = found.join("; ");
    match Words::of(body).say_rejected() {
        true => ProviderError::Rejected(detail),
        false => ProviderError::UnfitInput(detail),
    }
}

/// What an input of a node takes for an uploaded picture, which the server may have renamed.
pub(super) fn name_of_upload(answer: &Map<String, Value>) -> Option<Value> {
    let name = answer.get("name")?.as_str()?;
    let folder = answer.get("subfolder").and_then(Value::as_str);
    Some(match folder.filter(|folder| !folder.is_empty()) {
        Some(folder) => json!(format!("{folder}/{name}")),
        None => json!(name),
    })
}

/// Whether the server knows a job of this id.
pub(super) async fn look(api: &Api, id: &str) -> Result<Option<String>, ProviderError> {
    let standing = standing(api, id).await?;
    Ok((!matches!(standing, Standing::Unknown)).then(|| id.to_owned()))
}

/// A job goes from the queue to the history at once, so looking there in this order misses none.
async fn standing(api: &Api, id: &str) -> Result<Standing, ProviderError> {
    let request = api.request(Method::GET, &path("api/jobs", id))?;
    let answer = api.ask(request, Effect::Asks).await?;
    let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
    match (answer.status.as_u16(), json) {
        (200, Some(job)) if job.is_object() => match job["status"].as_str() {
            Some("completed" | "failed" | "cancelled") => history(api, id).await,
            _ => Ok(Standing::Open),
        },
        // The route is there, and the job is not.
        (404, Some(error)) if error["error"].is_string() => Ok(Standing::Unknown),
        // A server from before the route.
        (404 | 405, _) => match is_queued(api, id).await? {
            true => Ok(Standing::Open),
            false => history(api, id).await,
        },
        (200, _) => Err(unreadable(&answer.body)),
        _ => Err(answer.refusal(Effect::Asks)),
    }
}

/// An answer to a question that is none: the next one may be better.
pub(super) fn unreadable(body: &[u8]) -> ProviderError {
    ProviderError::Transient {
        detail: format!("the answer cannot be read: {}", Words::of(body).detail()),
        retry_after: None,
    }
}

async fn history(api: &Api, id: &str) -> Result<Standing, ProviderError> {
    let request = api.request(Method::GET, &path("history", id))?;
    let mut history = api.send(request, Effect::Asks).await?.json()?;
    Ok(match history.remove(id) {
        Some(entry) => Standing::Ended(entry),
        None => Standing::Unknown,
    })
}

async fn is_queued(api: &Api, id: &str) -> Result<bool, ProviderError> {
    let queue = queue(api).await?;
    let open = ["queue_running", "queue_pending"];
    Ok(open.into_iter().any(|list| lists(&queue, list, id)))
}

async fn queue(api: &Api) -> Result<Map<String, Value>, ProviderError> {
    let request = api.request(Method::GET, "queue")?;
    api.send(request, Effect::Asks).await?.json()
}

fn lists(queue: &Map<String, Value>, list: &str, id: &str) -> bool {
    let items = queue.get(list).and_then(Value::as_array);
    let items = items.into_iter().flatten();
    items.into_iter().any(|item| item[1].as_str() == Some(id))
}

fn path(route: &str, id: &str) -> String {
    let id = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
    format!("{route}/{id}")
}

/// Stops a job, waiting or running. Older servers have no call that does both.
pub(super) async fn cancel(api: &Api, id: &str) -> Result<(), ProviderError> {
    let request = json_request(api, &format!("{}/cancel", path("api/jobs", id)), &json!({}))?;
    if api.send_if_known(request, Effect::Asks).await?.is_some() {
        return Ok(());
    }
    let request = json_request(api, "queue", &json!({ "delete": [id] }))?;
    api.send(request, Effect::Asks).await?;
    // The oldest servers interrupt whatever runs.
    if lists(&queue(api).await?, "queue_running", id) {
        let request = json_request(api, "interrupt", &json!({ "prompt_id": id }))?;
        api.send(request, Effect::Asks).await?;
    }
    Ok(())
}

/// Asks what classes of nodes there are, and keeps them.
pub(super) async fn learn(
    api: &Api,
    classes: &RwLock<Option<Classes>>,
) -> Result<(), ProviderError> {
    let request = api.request(Method::GET, "object_info")?;
    let told = api.send(request, Effect::Asks).await?;
    let told = match serde_json::from_slice(&told.body) {
        Ok(Value::Object(told)) => Classes::new(&told),
        _ => {
            let detail = "object_info is no JSON object: this is no ComfyUI".to_owned();
            return Err(ProviderError::Failed(detail));
        }
    };
    *classes.write().unwrap_or_else(PoisonError::into_inner) = Some(told);
    Ok(())
}

impl ComfyUi {
    pub(super) async fn poll_native(&self, task: &Task, id: &str) -> Result<Polled, ProviderError> {
        let api = &self.parts()?.api;
        let entry = match standing(api, id).await? {
            Standing::Open => return Ok(outputs::running()),
            Standing::Unknown => return Ok(Polled::Failed(vanished(self.config.repeatable))),
            Standing::Ended(entry) => entry,
        };
        if let Some(error) = ending(&entry["status"]) {
            return Ok(Polled::Failed(error));
        }
        let files = outputs::of_history(&entry["outputs"]);
        let metadata = outputs::times(&entry["status"]["messages"]);
        outputs::fetch(api, task.media_type, files, metadata, &entry["outputs"]).await
    }
}

/// Why a run that has ended made nothing.
fn ending(status: &Value) -> Option<ProviderError> {
    if status["status_str"].as_str() != Some("error") {
        return None;
    }
    let messages = status["messages"].as_array();
    let said = |event: &str| {
        let mut messages = messages.into_iter().flatten().rev();
        let message = messages.find(|message| message[0].as_str() == Some(event));
        message.map(|message| &message[1])
    };
    if let Some(error) = said("execution_error") {
        let part = |key: &str| error[key].as_str().unwrap_or_default().trim().to_owned();
        let kind = part("exception_type");
        let message = part("exception_message");
        let (node, class) = (part("node_id"), part("node_type"));
        return Some(outputs::failed(
            &kind,
            format!("node {node} ({class}): {kind}: {message}"),
        ));
    }
    let detail = match said("execution_interrupted") {
        Some(_) => outputs::INTERRUPTED,
        None => "the run ended with an error that the server does not tell",
    };
    Some(ProviderError::Failed(detail.to_owned()))
}
