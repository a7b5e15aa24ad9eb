//! Replicate. Its output is a list of pictures, the text of a video's address, or an object with a sound.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{
    Desk, Fault, Step,
    fal::base,
    file,
    webhook::{Signer, WEBHOOK_SECRET},
    works::{State as At, Work},
};
use crate::domain::MediaType;

/// Predictions that are listed at most.
const PAGE: usize = 100;

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/v1/account", get(account))
        .route("/v1/webhooks/default/secret", get(secret))
        .route("/v1/predictions", get(list).post(of_version))
        .route("/v1/models/{owner}/{name}/predictions", post(of_model))
        .route("/v1/predictions/{id}", get(status))
        .route("/v1/predictions/{id}/cancel", post(cancel))
        .route("/files/{number}", get(file))
}

async fn account(headers: HeaderMap) -> Response {
    match is_known(&headers) {
        true => Json(json!({ "type": "user", "username": "stand-in", "name": "Stand-in" }))
            .into_response(),
        false => unknown(),
    }
}

async fn secret(headers: HeaderMap) -> Response {
    match is_known(&headers) {
        true => Json(json!({ "key": WEBHOOK_SECRET })).into_response(),
        false => unknown(),
    }
}

/// The latest, on one page.
async fn list(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    if !is_known(&headers) {
        return unknown();
    }
    let mut results = Vec::new();
    for work in desk.works.latest(PAGE) {
        results.push(prediction(&desk, &base(&headers), &work).await);
    }
    Json(json!({ "previous": null, "next": null, "results": results })).into_response()
}

async fn of_version(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let version = body["version"].as_str().unwrap_or_default().to_owned();
    create(desk, &headers, &version, body).await
}

async fn of_model(
    State(desk): State<Arc<Desk>>,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    create(desk, &headers, &format!("{owner}/{name}"), body).await
}

/// With `Prefer: wait` the answer comes when the work is done.
async fn create(desk: Arc<Desk>, headers: &HeaderMap, model: &str, mut body: Value) -> Response {
    if let Some(answer) = desk.met_fault(Step::Submit).await {
        return answer;
    }
    if !is_known(headers) {
        return unknown();
    }
    let input = body["input"].take();
    if model.is_empty() || !input.is_object() {
        let detail = json!({ "title": "Input validation failed", "detail": "version and input are required", "status": 422 });
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(detail)).into_response();
    }
    let mut work = desk.works.add(None, model, input);
    if let Some(url) = body["webhook"].as_str() {
        let url = url.to_owned();
        tokio::spawn(call_back(desk.clone(), work.clone(), url, base(headers)));
    }
    if headers
        .get("prefer")
        .is_some_and(|it| it.as_bytes().starts_with(b"wait"))
    {
        while work.state() != At::Done {
            work = desk.works.look(&work.id).unwrap_or(work);
        }
    }
    (
        StatusCode::CREATED,
        Json(prediction(&desk, &base(headers), &work).await),
    )
        .into_response()
}

async fn status(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(answer) = desk.met_fault(Step::Poll).await {
        return answer;
    }
    match desk.works.look(&id) {
        Some(work) => Json(prediction(&desk, &base(&headers), &work).await).into_response(),
        None => (
            StatusCode::NOT_FOUND,
            Json(json!({ "detail": "Not found.", "status": 404 })),
        )
            .into_response(),
    }
}

async fn cancel(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(answer) = desk.met_fault(Step::Cancel).await {
        return answer;
    }
    let Some(work) = desk.works.get(&id) else {
        return (
            StatusCode::NOT_FOUND,
            Json(json!({ "detail": "Not found.", "status": 404 })),
        )
            .into_response();
    };
    if work.state() != At::Done {
        work.cancelled.cancel();
    }
    Json(prediction(&desk, &base(&headers), &work).await).into_response()
}

/// It calls when it begins as well.
async fn call_back(desk: Arc<Desk>, work: Work, url: String, base: String) {
    let started = prediction(&desk, &base, &work).await;
    desk.call_back(&url, Signer::Standard, started, &Fault::None)
        .await;
    let fault = desk.before_callback().await;
    if let Some(work) = desk.works.finish(&work.id) {
        let ended = prediction(&desk, &base, &work).await;
        desk.call_back(&url, Signer::Standard, ended, &fault).await;
    }
}

async fn prediction(desk: &Desk, base: &str, work: &Work) -> Value {
    let own = format!("{base}/v1/predictions/{}", work.id);
    let mut answer = json!({
        "id": work.id, "model": work.model, "version": "hidden", "input": work.input, "logs": "", "output": null,
        "error": null, "created_at": "2026-11-29T00:00:00Z", "started_at": null, "completed_at": null,
        "urls": { "get": own, "cancel": format!("{own}/cancel") },
    });
    answer["status"] = match work.state() {
        At::Waiting => "starting",
        At::Running => "processing",
        At::Cancelled => "canceled",
        At::Done => {
            answer["completed_at"] = "2026-11-29T00:00:01Z".into();
            answer["metrics"] = json!({ "predict_time": 0.5 });
            match output(desk, base, work).await {
                Ok(output) => {
                    answer["output"] = output;
                    "succeeded"
                }
                Err(error) => {
                    answer["error"] = error.into();
                    "failed"
                }
            }
        }
    }
    .into();
    answer
}

async fn output(desk: &Desk, base: &str, work: &Work) -> Result<Value, String> {
    if work.prompt().is_none() {
        return Err("prompt is required".to_owned());
    }
    let number = match work.made {
        Some(number) => number,
        None => desk.keep(work.file().await.map_err(|error| error.to_string())?),
    };
    desk.works.made(&work.id, number);
    let url = format!("{base}/files/{number}");
    Ok(match work.media_type() {
        MediaType::Image => json!([url]),
        MediaType::Video => json!(url),
        MediaType::Audio => json!({ "audio": url, "text": "a song" }),
    })
}

fn is_known(headers: &HeaderMap) -> bool {
    headers
        .get("authorization")
        .is_some_and(|it| it.as_bytes().starts_with(b"Bearer "))
}

fn unknown() -> Response {
    let detail = json!({ "title": "Unauthenticated", "detail": "You did not pass an authentication token", "status": 401 });
    (StatusCode::UNAUTHORIZED, Json(detail)).into_response()
}
