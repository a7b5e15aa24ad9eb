//! The Comfy API v2. A key is taken once, and never answered to again.

use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{ComfyUi, native, outputs, vanished};
use crate::{
    domain::JsonMap,
    provider::{
        Polled, ProviderError, Task,
        http::{Api, Effect},
    },
};

const JOBS: &str = "api/v2/jobs";
/// The most that a list of jobs has.
const LISTED: u32 = 100;

/// Submits a workflow; the id that the service gives it.
pub(super) async fn submit(api: &Api, nodes: JsonMap, key: &str) -> Result<String, ProviderError> {
    // By the metadata the job is found in the list of jobs.
    let body = json!({ "workflow": nodes, "metadata": key });
    let request = api.request(Method::POST, JOBS)?;
    let request = request.header("idempotency-key", key);
    let request = request.header("content-type", "application/json");
    let asked = api.ask(request.body(body.to_string()), Effect::Pays).await;
    let answer = asked.map_err(native::unread)?;
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let status = answer.status;
    if status.is_success() {
        let id = json["id"].as_str().map(str::to_owned);
        return id.ok_or_else(|| ProviderError::OutcomeUnknown("the job has no id".to_owned()));
    }
    if json["error"]["code"] == json!("idempotency_key_reuse") {
        let detail = "its key was taken before".to_owned();
        return Err(ProviderError::OutcomeUnknown(detail));
    }
    match status {
        StatusCode::UNPROCESSABLE_ENTITY => Err(native::unfit(&answer.body)),
        // The key may be held for a job that was made all the same.
        _ if status.is_server_error() => Err(ProviderError::OutcomeUnknown(format!(
            "{status}: {}",
            json["error"]["message"]
        ))),
        _ => Err(answer.refusal(Effect::Pays)),
    }
}

/// The job that was submitted with this key, if it is among the latest.
pub(super) async fn look(api: &Api, key: &str) -> Result<Option<String>, ProviderError> {
    let listed = list(api, LISTED).await?;
    let jobs = listed.get("jobs").and_then(Value::as_array);
    let job = jobs
        .into_iter()
        .flatten()
        .find(|job| job["metadata"].as_str() == Some(key));
    Ok(job.and_then(|job| Some(job["id"].as_str()?.to_owned())))
}

/// Costs nothing, and needs the key.
pub(super) async fn probe(api: &Api) -> Result<(), ProviderError> {
    list(api, 1).await.map(|_| ())
}

async fn list(api: &Api, limit: u32) -> Result<Map<String, Value>, ProviderError> {
    let request = api.request(Method::GET, &format!("{JOBS}?limit={limit}"))?;
    api.send(request, Effect::Asks).await?.json()
}

/// The path of what belongs to a job.
pub(super) fn path(id: &str, rest: &str) -> String {
    let id = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
    format!("{JOBS}/{id}{rest}")
}

pub(super) async fn cancel(api: &Api, id: &str) -> Result<(), ProviderError> {
    let request = api.request(Method::POST, &path(id, "/cancel"))?;
    api.send(request, Effect::Asks).await.map(|_| ())
}

/// Whether the service itself tells of an error.
fn has_code(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|told| told["error"]["code"].is_string())
}

/// What an input of a node takes for an asset.
pub(super) fn reference_to_asset(answer: &Map<String, Value>) -> Option<Value> {
    let id = answer.get("id")?.as_str()?;
    Some(json!({ "__type": "core/ASSET", "info": { "id": id } }))
}

impl ComfyUi {
    pub(super) async fn poll_v2(&self, task: &Task, id: &str) -> Result<Polled, ProviderError> {
        let api = &self.parts()?.api;
        let request = api.request(Method::GET, &path(id, ""))?;
        let answer = api.ask(request, Effect::Asks).await?;
        // A gateway that says so has no words of the protocol.
        if matches!(answer.status.as_u16(), 404 | 410) && has_code(&answer.body) {
            return Ok(Polled::Failed(vanished(self.config.repeatable)));
        }
        let body = answer.accepted(Effect::Asks)?.body;
        let mut job: Map<String, Value> =
            serde_json::from_slice(&body).map_err(|_| native::unreadable(&body))?;
        let status = job.get("status").and_then(Value::as_str);
        Ok(match status.unwrap_or_default() {
            "succeeded" => {
                let told = ["metrics", "outputs_reused"].into_iter();
                let told = told.filter_map(|key| job.remove_entry(key));
                let told = told.filter(|(_, value)| !value.is_null()).collect();
                let outputs = job.get("outputs").unwrap_or(&Value::Null);
                let files = outputs::of_job(outputs);
                return outputs::fetch(api, task.media_type, files, told, outputs).await;
            }
            "failed" => {
                let error = job.get("error").unwrap_or(&Value::Null);
                let part = |key: &str| error[key].as_str().unwrap_or_default();
                let (node, class) = (part("node_id"), part("class_type"));
                let message = part("message");
                let detail = format!("node {node} ({class}): {}: {message}", part("code"));
                Polled::Failed(outputs::failed(message, detail))
            }
            "canceled" => Polled::Failed(ProviderError::Failed(outputs::INTERRUPTED.to_owned())),
            "expired" => Polled::Failed(vanished(self.config.repeatable)),
            _ => outputs::running(),
        })
    }
}
