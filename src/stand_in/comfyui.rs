//! ComfyUI, and the Comfy API v2 in front of it. It has a few of the nodes, and draws with the studio: the checkpoint
//! `broken.safetensors` makes a run fail, and `too-large.safetensors` lacks memory.

mod queue;
mod run;
mod v2;
mod workflow;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{
        Multipart, Path, Query, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Desk, Fault, Step};
use queue::{Engine, Prompt, Socket, check, classes, place};
use workflow::refusal;

/// The routes, and the worker that must run beside them. Servers of before mid-2026 have no `/api/jobs` and take any id.
pub(super) fn routes(
    desk: &Arc<Desk>,
    old: bool,
) -> (Router<Arc<Desk>>, impl Future<Output = ()> + use<>) {
    let engine = Arc::new(Engine::new(desk.clone(), old));
    let worker = engine.clone().work();
    let router = Router::new()
        .route("/prompt", post(prompt))
        .route("/history/{id}", get(history))
        .route("/queue", get(queue).post(change_queue))
        .route("/interrupt", post(interrupt))
        .route("/ws", get(connect))
        .route("/view", get(view))
        .route("/upload/image", post(upload))
        .route("/object_info", get(async || Json(classes())))
        .route(
            "/system_stats",
            get(async || Json(json!({ "system": { "comfyui_version": "stand-in" } }))),
        )
        .route("/stand-in/restart", post(restart))
        .route("/stand-in/finish", post(finish))
        .route("/stand-in/drop-sockets", post(drop_sockets));
    let router = match old {
        true => router
            .route(
                "/api/jobs/{id}",
                get(async || (StatusCode::NOT_FOUND, "404: Not Found")),
            )
            .route(
                "/api/jobs/{id}/cancel",
                get(async || (StatusCode::NOT_FOUND, "404: Not Found")),
            ),
        false => v2::routes(router)
            .route("/api/jobs/{id}", get(job))
            .route("/api/jobs/{id}/cancel", post(cancel)),
    };
    (router.with_state(engine), worker)
}

type Shared = State<Arc<Engine>>;

fn bad(body: Value) -> Response {
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

async fn prompt(State(engine): Shared, body: Bytes) -> Response {
    let fault = engine.desk.next_fault(Step::Submit);
    if let Some(answer) = refused(&fault).await {
        return answer;
    }
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return (
            StatusCode::INTERNAL_SERVER_ERROR,
            "500 Internal Server Error",
        )
            .into_response();
    };
    let Some(nodes) = body["prompt"].as_object() else {
        return bad(refusal("no_prompt", "No prompt provided", "", &json!({})));
    };
    let id = match body["prompt_id"].as_str() {
        Some(id) if engine.old || Uuid::parse_str(id).is_ok_and(|it| it.to_string() == id) => {
            id.to_owned()
        }
        Some(_) => {
            return bad(refusal(
                "invalid_prompt_id",
                "prompt_id must be a valid UUID",
                "",
                &json!({}),
            ));
        }
        None => Uuid::new_v4().to_string(),
    };
    let client = body["client_id"].as_str().unwrap_or_default().to_owned();
    let (outputs, node_errors) = match check(&engine, nodes) {
        Ok(checked) => checked,
        Err(refusal) => return bad(refusal),
    };
    let number = engine.put(id.clone(), client, nodes.clone(), outputs);
    lost(fault).await.unwrap_or_else(|| {
        Json(json!({ "prompt_id": id, "number": number, "node_errors": node_errors }))
            .into_response()
    })
}

/// The answer of a fault in whose place nothing happens.
async fn refused(fault: &Option<Fault>) -> Option<Response> {
    match fault {
        Some(fault @ Fault::Answer { .. }) => fault.clone().happen().await,
        _ => None,
    }
}

/// What becomes of the answer when the work was taken.
async fn lost(fault: Option<Fault>) -> Option<Response> {
    fault?.happen().await
}

async fn history(State(engine): Shared, Path(id): Path<String>) -> Response {
    if let Some(answer) = engine.desk.met_fault(Step::Result).await {
        return answer;
    }
    let state = engine.state();
    Json(match state.history.get(&id) {
        Some(entry) => json!({ id: entry }),
        None => json!({}),
    })
    .into_response()
}

fn item(prompt: &Prompt) -> Value {
    let Prompt {
        number,
        id,
        client,
        nodes,
        outputs,
    } = prompt;
    json!([number, id, nodes, { "client_id": client }, outputs])
}

async fn queue(State(engine): Shared) -> Json<Value> {
    let state = engine.state();
    let running: Vec<_> = state.running.iter().map(|it| item(&it.prompt)).collect();
    let pending: Vec<_> = state.pending.iter().map(item).collect();
    Json(json!({ "queue_running": running, "queue_pending": pending }))
}

async fn change_queue(State(engine): Shared, Json(body): Json<Value>) -> StatusCode {
    let ids = body["delete"].as_array().into_iter().flatten();
    let ids: Vec<_> = ids.filter_map(Value::as_str).collect();
    engine
        .state()
        .pending
        .retain(|prompt| !ids.contains(&prompt.id.as_str()));
    StatusCode::OK
}

async fn interrupt(State(engine): Shared, Json(body): Json<Value>) -> StatusCode {
    if let Some(running) = &mut engine.state().running {
        running.interrupted |= body["prompt_id"]
            .as_str()
            .is_none_or(|id| id == running.prompt.id);
    }
    StatusCode::OK
}

/// As the newest servers tell it.
fn status(state: &queue::State, id: &str) -> Option<&'static str> {
    if state.runs(id) {
        return Some("in_progress");
    }
    if state.pending.iter().any(|prompt| prompt.id == id) {
        return Some("pending");
    }
    let status = &state.history.get(id)?["status"];
    let messages = status["messages"].as_array();
    let last = messages
        .and_then(|messages| messages.last())
        .map(|it| &it[0]);
    Some(
        match (
            status["completed"] == json!(true),
            last.and_then(Value::as_str),
        ) {
            (true, _) => "completed",
            (false, Some("execution_interrupted")) => "cancelled",
            (false, _) => "failed",
        },
    )
}

async fn job(State(engine): Shared, Path(id): Path<String>) -> Response {
    if let Some(answer) = engine.desk.met_fault(Step::Poll).await {
        return answer;
    }
    match status(&engine.state(), &id) {
        Some(status) => Json(json!({ "id": id, "status": status })).into_response(),
        None => (
            StatusCode::NOT_FOUND,
            Json(json!({ "error": "Job not found" })),
        )
            .into_response(),
    }
}

async fn cancel(State(engine): Shared, Path(id): Path<String>) -> Json<Value> {
    Json(json!({ "cancelled": engine.state().cancel(&id) }))
}

async fn restart(State(engine): Shared) {
    engine.restart();
}

async fn finish(State(engine): Shared) {
    engine.state().hurries = true;
}

async fn drop_sockets(State(engine): Shared) {
    engine.state().sockets.clear();
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Client {
    client_id: Option<String>,
}

async fn connect(
    State(engine): Shared,
    Query(client): Query<Client>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let client = client
        .client_id
        .unwrap_or_else(|| Uuid::new_v4().simple().to_string());
    upgrade.on_upgrade(|socket| talk(engine, client, socket))
}

/// A socket of the same client replaces the one before, and learns of the current node only.
async fn talk(engine: Arc<Engine>, client: String, socket: WebSocket) {
    let (messages, mut waiting) = mpsc::unbounded_channel();
    {
        let mut state = engine.state();
        state.sockets.insert(
            client.clone(),
            Socket {
                messages,
                previews_with_metadata: false,
            },
        );
        let remaining = json!({ "exec_info": { "queue_remaining": state.remaining() } });
        state.say(
            &client,
            "status",
            &json!({ "status": remaining, "sid": client }),
        );
        let running = state
            .running
            .as_ref()
            .filter(|it| it.prompt.client == client);
        if let Some(node) = running.and_then(|it| it.node.as_ref()) {
            state.say(&client, "executing", &json!({ "node": node }));
        }
    }
    let (mut sender, mut receiver) = socket.split();
    let mut first = true;
    loop {
        tokio::select! {
            message = waiting.recv() => {
                let Some(message) = message else { return };
                if sender.send(message).await.is_err() {
                    return;
                }
            }
            message = receiver.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let text: Value = serde_json::from_str(&text).unwrap_or_default();
                    if std::mem::take(&mut first) && text["type"] == json!("feature_flags") {
                        heed(&engine, &client, &text["data"]);
                    }
                }
                Some(Ok(_)) => {}
                _ => return,
            },
        }
    }
}

fn heed(engine: &Engine, client: &str, features: &Value) {
    let mut state = engine.state();
    if let Some(socket) = state.sockets.get_mut(client) {
        let asked = features["supports_preview_metadata"] == json!(true);
        socket.previews_with_metadata = asked && !engine.old;
    }
    let own = json!({ "supports_preview_metadata": true, "max_upload_size": 104_857_600 });
    state.say(client, "feature_flags", &own);
}

#[derive(Deserialize)]
struct Viewed {
    filename: String,
    #[serde(default)]
    subfolder: String,
    #[serde(default, rename = "type")]
    folder: String,
}

async fn view(State(engine): Shared, Query(viewed): Query<Viewed>) -> Response {
    if let Some(answer) = engine.desk.met_fault(Step::File).await {
        return answer;
    }
    let folder = if viewed.folder.is_empty() {
        "output"
    } else {
        &viewed.folder
    };
    let file = engine
        .state()
        .files
        .get(&place(folder, &viewed.subfolder, &viewed.filename))
        .cloned();
    match file {
        Some(file) => ([(CONTENT_TYPE, "application/octet-stream")], file).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A name that is taken gets a number.
async fn upload(State(engine): Shared, form: Multipart) -> Response {
    let Some((name, file)) = file_of(form, "image").await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let name = keep(&engine, &name, file);
    Json(json!({ "name": name, "subfolder": "", "type": "input" })).into_response()
}

fn keep(engine: &Engine, name: &str, file: Bytes) -> String {
    let mut state = engine.state();
    let (stem, end) = name.rsplit_once('.').unwrap_or((name, "png"));
    let mut name = name.to_owned();
    let mut number = 1;
    while state.has_input(&name) {
        name = format!("{stem} ({number}).{end}");
        number += 1;
    }
    state.files.insert(place("input", "", &name), file);
    name
}

async fn file_of(mut form: Multipart, name: &str) -> Option<(String, Bytes)> {
    while let Ok(Some(field)) = form.next_field().await {
        if field.name() == Some(name) {
            let own = field.file_name()?.to_owned();
            return Some((own, field.bytes().await.ok()?));
        }
    }
    None
}
