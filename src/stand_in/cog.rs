//! A server made by cog. It works on one thing at a time and cannot be asked for it.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Desk, MAX_BODY, Step,
    webhook::Signer,
    works::{State as At, Work},
};
use crate::domain::MediaType;

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/health-check", get(health))
        .route("/predictions", post(predict))
        .route("/predictions/{id}", axum::routing::put(predict_as))
        .route("/predictions/{id}/cancel", post(cancel))
}

/// Always 200.
async fn health(State(desk): State<Arc<Desk>>) -> Json<Value> {
    let status = if desk.works.is_busy() {
        "BUSY"
    } else {
        "READY"
    };
    Json(
        json!({ "status": status, "setup": { "status": "succeeded", "logs": "" }, "version": { "cog": "stand-in" } }),
    )
}

async fn predict(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    start(desk, None, &headers, body).await
}

/// While it runs, the same once more tells how it is; when it has ended, it runs again.
async fn predict_as(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    match desk.works.get(&id) {
        Some(work) if work.made.is_none() && work.state() != At::Cancelled => {
            (StatusCode::ACCEPTED, Json(prediction(&work, "processing"))).into_response()
        }
        _ => start(desk, Some(id), &headers, body).await,
    }
}

async fn start(
    desk: Arc<Desk>,
    id: Option<String>,
    headers: &HeaderMap,
    mut body: Value,
) -> Response {
    if desk.works.is_busy() {
        let detail =
            json!({ "error": "At capacity - all prediction slots busy", "status": "failed" });
        return (StatusCode::CONFLICT, Json(detail)).into_response();
    }
    // What is made is told by the input alone, since a server has one model.
    let model = body["input"]["model"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let work = desk.works.add(id, &model, body["input"].take());
    let running = run(desk.clone(), work.clone());
    let running = match body["webhook"].as_str() {
        Some(url) => tokio::spawn(run_and_call_back(desk, running, url.to_owned())),
        None => tokio::spawn(running),
    };
    if headers
        .get("prefer")
        .is_some_and(|it| it == "respond-async")
    {
        return (StatusCode::ACCEPTED, Json(prediction(&work, "starting"))).into_response();
    }
    // Who no longer waits cancels it.
    let waits = work.cancelled.clone().drop_guard();
    let ended = running.await;
    waits.disarm();
    ended.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// The call has what is answered to who waits.
async fn run_and_call_back(
    desk: Arc<Desk>,
    running: impl Future<Output = Response>,
    url: String,
) -> Response {
    let (parts, body) = running.await.into_parts();
    let body = to_bytes(body, MAX_BODY).await.unwrap_or_default();
    let fault = desk.before_callback().await;
    let told = serde_json::from_slice(&body).unwrap_or_default();
    desk.call_back(&url, Signer::Nobody, told, &fault).await;
    Response::from_parts(parts, Body::from(body))
}

async fn run(desk: Arc<Desk>, work: Work) -> Response {
    let met = async {
        match desk.met_fault(Step::Submit).await {
            Some(answer) => Err(answer),
            None => Ok(work.file().await),
        }
    };
    let made = tokio::select! {
        made = met => made,
        () = work.cancelled.cancelled() => return Json(prediction(&work, "canceled")).into_response(),
    };
    desk.works.made(&work.id, desk.keep(Bytes::new()));
    let mut answer = prediction(&work, "succeeded");
    match made {
        Err(answer) => return answer,
        Ok(Ok(file)) => answer["output"] = data_url(&work, &file).into(),
        Ok(Err(error)) => {
            answer["status"] = "failed".into();
            answer["error"] = error.to_string().into();
        }
    }
    Json(answer).into_response()
}

fn prediction(work: &Work, status: &str) -> Value {
    json!({
        "id": work.id, "input": work.input, "status": status, "logs": "", "metrics": { "predict_time": 0.5 },
    })
}

fn data_url(work: &Work, file: &Bytes) -> String {
    let kind = match work.media_type() {
        MediaType::Image => "image/png",
        MediaType::Video => "video/mp4",
        MediaType::Audio => "audio/wav",
    };
    format!("data:{kind};base64,{}", BASE64_STANDARD.encode(file))
}

async fn cancel(State(desk): State<Arc<Desk>>, Path(id): Path<String>) -> Response {
    if let Some(answer) = desk.met_fault(Step::Cancel).await {
        return answer;
    }
    match desk.works.get(&id) {
        Some(work) if work.made.is_none() => {
            work.cancelled.cancel();
            Json(json!({})).into_response()
        }
        _ => (StatusCode::NOT_FOUND, Json(json!({}))).into_response(),
    }
}
