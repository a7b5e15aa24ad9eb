//! The Comfy API v2, as comfy-api-proxy puts it before ComfyUI.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{Multipart, Path, Query},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Engine, Shared, State, Step, check, file_of, keep, lost, place, queue, refused, status,
};

/// Between events.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn routes(router: Router<Arc<Engine>>) -> Router<Arc<Engine>> {
    router
        .route("/api/v2/jobs", get(list).post(submit))
        .route("/api/v2/jobs/{id}", get(job))
        .route("/api/v2/jobs/{id}/cancel", post(cancel))
        .route("/api/v2/jobs/{id}/events", get(events))
        .route("/api/v2/assets", post(upload))
        .route("/api/v2/assets/{id}/content", get(content))
}

fn refuse(status: StatusCode, code: &str, message: &str, details: Value) -> Response {
    let error = json!({ "code": code, "message": message, "details": details });
    (status, Json(json!({ "error": error }))).into_response()
}

async fn submit(State(engine): Shared, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let fault = engine.desk.next_fault(Step::Submit);
    if let Some(answer) = refused(&fault).await {
        return answer;
    }
    let Some(nodes) = body["workflow"].as_object() else {
        return refuse(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_workflow",
            "Missing 'workflow'.",
            Value::Null,
        );
    };
    let key = headers
        .get("idempotency-key")
        .and_then(|it| it.to_str().ok());
    if let Some(key) = key.filter(|key| engine.state().keys.contains(*key)) {
        let message = format!("This Idempotency-Key has already been used: {key}");
        return refuse(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reuse",
            &message,
            Value::Null,
        );
    }
    let mut nodes = nodes.clone();
    for node in nodes.values_mut() {
        for (_, value) in node["inputs"].as_object_mut().into_iter().flatten() {
            if value["__type"] == json!("core/ASSET") {
                *value = value["info"]["id"].clone();
            }
        }
    }
    let (outputs, _) = match check(&engine, &nodes) {
        Ok(checked) => checked,
        Err(wrong) => {
            let details = json!({ "node_errors": wrong["node_errors"] });
            let message = wrong["error"]["message"].as_str().unwrap_or_default();
            return refuse(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_workflow",
                message,
                details,
            );
        }
    };
    let id = Uuid::new_v4().to_string();
    {
        let mut state = engine.state();
        state.keys.extend(key.map(str::to_owned));
        state.jobs.push((id.clone(), body["metadata"].clone()));
    }
    engine.put(id.clone(), id.clone(), nodes, outputs);
    let answer = told(&engine.state(), &id, &body["metadata"]);
    lost(fault)
        .await
        .unwrap_or_else(|| (StatusCode::CREATED, Json(answer)).into_response())
}

fn told(state: &queue::State, id: &str, metadata: &Value) -> Value {
    let word = match status(state, id) {
        Some("pending") => "queued",
        Some("in_progress") => "running",
        Some("completed") => "succeeded",
        Some("cancelled") => "canceled",
        Some(_) => "failed",
        None => "expired",
    };
    let entry = state.history.get(id).unwrap_or(&Value::Null);
    let messages = entry["status"]["messages"].as_array();
    let error =
        messages.and_then(|messages| messages.iter().find(|it| it[0] == json!("execution_error")));
    let error = error.map(|error| {
        json!({
            "code": "node_execution_error", "message": error[1]["exception_message"],
            "node_id": error[1]["node_id"], "class_type": error[1]["node_type"], "traceback": null,
        })
    });
    json!({
        "id": id, "status": word, "outputs": outputs(&entry["outputs"]), "error": error, "metadata": metadata,
        "outputs_reused": false,
    })
}

/// Their types are those of the lists: that of a video is `image`.
fn outputs(nodes: &Value) -> Vec<Value> {
    let mut outputs = Vec::new();
    for (node, lists) in nodes.as_object().into_iter().flatten() {
        for (list, kind) in [("images", "image"), ("audio", "audio")] {
            for file in lists[list].as_array().into_iter().flatten() {
                let text = |key: &str| file[key].as_str().unwrap_or_default();
                let place = place(text("type"), text("subfolder"), text("filename"));
                let id = BASE64_STANDARD
                    .encode(place)
                    .replace('/', "_")
                    .replace('+', "-");
                let url = format!("/api/v2/assets/{id}/content");
                outputs.push(json!({ "node_id": node, "name": text("filename"), "type": kind, "id": id, "url": url }));
            }
        }
    }
    outputs
}

#[derive(Deserialize)]
struct Page {
    limit: Option<usize>,
}

async fn list(State(engine): Shared, Query(page): Query<Page>) -> Response {
    if let Some(answer) = engine.desk.met_fault(Step::Poll).await {
        return answer;
    }
    let state = engine.state();
    let newest = state.jobs.iter().rev().take(page.limit.unwrap_or(50));
    let jobs: Vec<_> = newest
        .map(|(id, metadata)| told(&state, id, metadata))
        .collect();
    Json(json!({ "jobs": jobs, "truncated": false })).into_response()
}

fn find(engine: &Engine, id: &str) -> Option<Value> {
    let state = engine.state();
    let (_, metadata) = state.jobs.iter().find(|(own, _)| own == id)?;
    Some(told(&state, id, metadata))
}

fn unknown() -> Response {
    refuse(
        StatusCode::NOT_FOUND,
        "not_found",
        "No such job.",
        Value::Null,
    )
}

async fn job(State(engine): Shared, Path(id): Path<String>) -> Response {
    if let Some(answer) = engine.desk.met_fault(Step::Poll).await {
        return answer;
    }
    find(&engine, &id).map_or_else(unknown, |job| Json(job).into_response())
}

async fn cancel(State(engine): Shared, Path(id): Path<String>) -> Response {
    engine.state().cancel(&id);
    find(&engine, &id).map_or_else(unknown, |job| Json(job).into_response())
}

/// Snapshots, one after another, to the end of the job.
async fn events(State(engine): Shared, Path(id): Path<String>) -> Response {
    let events = stream::unfold(Some(engine), move |engine| {
        let id = id.clone();
        async move {
            let engine = engine?;
            tokio::time::sleep(PAUSE).await;
            let status = find(&engine, &id)?["status"].clone();
            let mut events = format!("event: status\ndata: {}\n\n", json!({ "status": status }));
            if let Some(running) = engine
                .state()
                .running
                .as_ref()
                .filter(|it| it.prompt.id == id)
            {
                let progress = json!({ "value": running.fraction, "current_node": running.node });
                events.push_str(&format!("event: progress\ndata: {progress}\n\n"));
                if let Some(preview) = &running.preview {
                    let preview = json!({ "data_base64": BASE64_STANDARD.encode(preview) });
                    events.push_str(&format!("event: preview\ndata: {preview}\n\n"));
                }
            }
            let goes_on = ["queued", "running"].contains(&status.as_str().unwrap_or_default());
            Some((
                Ok::<_, Infallible>(Bytes::from(events)),
                goes_on.then_some(engine),
            ))
        }
    });
    (
        [(CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(events),
    )
        .into_response()
}

async fn upload(State(engine): Shared, form: Multipart) -> Response {
    let Some((name, file)) = file_of(form, "file").await else {
        return refuse(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_request",
            "Missing 'file' part.",
            Value::Null,
        );
    };
    let name = keep(&engine, &name, file);
    (
        StatusCode::CREATED,
        Json(json!({ "id": name, "file_path": name })),
    )
        .into_response()
}

async fn content(State(engine): Shared, Path(id): Path<String>) -> Response {
    if let Some(answer) = engine.desk.met_fault(Step::File).await {
        return answer;
    }
    let place = BASE64_STANDARD
        .decode(id.replace('_', "/").replace('-', "+"))
        .unwrap_or_default();
    let file = engine
        .state()
        .files
        .get(&*String::from_utf8_lossy(&place))
        .cloned();
    file.map_or_else(unknown, IntoResponse::into_response)
}
