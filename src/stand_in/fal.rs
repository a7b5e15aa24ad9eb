//! fal's queue, and below `/run` what `fal.run` answers at once. The queue has no status for failure: what went wrong is the
//! result.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use url::Url;

use super::{
    Desk, Step, file,
    webhook::{Signer, published},
    works::{State as At, Work},
};
use crate::domain::MediaType;

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/files/{number}", get(file))
        .route("/.well-known/jwks.json", get(published))
        .route("/{owner}/{app}/requests/{id}/status", get(status))
        .route(
            "/{owner}/{app}/requests/{id}/cancel",
            axum::routing::put(cancel),
        )
        .route("/{owner}/{app}/requests/{id}", get(result))
        .route("/run/{*model}", post(run))
        // A model's name has two steps and more.
        .fallback(post(submit))
}

async fn submit(
    State(desk): State<Arc<Desk>>,
    uri: Uri,
    headers: HeaderMap,
    Json(input): Json<Value>,
) -> Response {
    if let Some(answer) = turned_away(&desk, &headers).await {
        return answer;
    }
    let work = desk
        .works
        .add(None, uri.path().trim_start_matches('/'), input);
    if let Some(url) = webhook_of(&uri) {
        tokio::spawn(call_back(desk, work.clone(), url, base(&headers)));
    }
    Json(addresses(
        &headers,
        &work,
        json!({ "status": "IN_QUEUE", "queue_position": 1 }),
    ))
    .into_response()
}

/// The result itself, when it is there.
async fn run(
    State(desk): State<Arc<Desk>>,
    Path(model): Path<String>,
    headers: HeaderMap,
    Json(input): Json<Value>,
) -> Response {
    if let Some(answer) = turned_away(&desk, &headers).await {
        return answer;
    }
    let work = desk.works.add(None, &model, input);
    let work = desk.works.finish(&work.id).unwrap_or(work);
    let (status, answer) = outcome(&desk, &work, &base(&headers)).await;
    let id = [("x-fal-request-id", work.id)];
    (status, id, Json(answer)).into_response()
}

/// The answer to a call that has nothing made: a fault's, or that to one without a key.
async fn turned_away(desk: &Desk, headers: &HeaderMap) -> Option<Response> {
    if let Some(answer) = desk.met_fault(Step::Submit).await {
        return Some(answer);
    }
    let key = headers.get("authorization");
    let has_key = key.is_some_and(|it| it.as_bytes().starts_with(b"Key "));
    let words = "Authentication is required to access this application.";
    (!has_key).then(|| told(StatusCode::UNAUTHORIZED, words))
}

fn webhook_of(uri: &Uri) -> Option<String> {
    let uri = Url::parse(&format!("http://stand-in{uri}")).ok()?;
    let mut query = uri.query_pairs();
    query.find_map(|(name, value)| (name == "fal_webhook").then(|| value.into_owned()))
}

/// It tells what was made, too, and whether it went well.
async fn call_back(desk: Arc<Desk>, work: Work, url: String, base: String) {
    let fault = desk.before_callback().await;
    let Some(work) = desk.works.finish(&work.id) else {
        return;
    };
    let (status, answer) = outcome(&desk, &work, &base).await;
    let word = if status.is_success() { "OK" } else { "ERROR" };
    let body = json!({
        "request_id": work.id, "gateway_request_id": work.id, "status": word, "payload": answer,
        "error": answer.get("detail").map(Value::to_string),
    });
    desk.call_back(&url, Signer::Fal, body, &fault).await;
}

async fn status(
    State(desk): State<Arc<Desk>>,
    Path((_, _, id)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(answer) = desk.met_fault(Step::Poll).await {
        return answer;
    }
    let Some(work) = desk.works.look(&id) else {
        return told(StatusCode::NOT_FOUND, "Request not found");
    };
    let (status, state) = match work.state() {
        At::Waiting => (
            StatusCode::ACCEPTED,
            json!({ "status": "IN_QUEUE", "queue_position": 0 }),
        ),
        At::Running => (
            StatusCode::ACCEPTED,
            json!({ "status": "IN_PROGRESS", "logs": null }),
        ),
        At::Done | At::Cancelled => {
            let metrics = json!({ "inference_time": 0.5 });
            (
                StatusCode::OK,
                json!({ "status": "COMPLETED", "logs": null, "metrics": metrics }),
            )
        }
    };
    (status, Json(addresses(&headers, &work, state))).into_response()
}

async fn result(
    State(desk): State<Arc<Desk>>,
    Path((_, _, id)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(answer) = desk.met_fault(Step::Result).await {
        return answer;
    }
    let Some(work) = desk.works.get(&id) else {
        return told(StatusCode::NOT_FOUND, "Request not found");
    };
    let (status, answer) = outcome(&desk, &work, &base(&headers)).await;
    (status, Json(answer)).into_response()
}

async fn outcome(desk: &Desk, work: &Work, base: &str) -> (StatusCode, Value) {
    let detail = |detail: &str| json!({ "detail": detail });
    if work.cancelled.is_cancelled() {
        let detail =
            json!({ "detail": "The request was cancelled", "error_type": "client_cancelled" });
        return (StatusCode::BAD_REQUEST, detail);
    }
    if work.state() != At::Done {
        return (
            StatusCode::BAD_REQUEST,
            detail("Request is still in progress"),
        );
    }
    if work.prompt().is_none() {
        let missing =
            json!([{ "loc": ["body", "prompt"], "msg": "Field required", "type": "missing" }]);
        return (
            StatusCode::UNPROCESSABLE_ENTITY,
            json!({ "detail": missing }),
        );
    }
    match work.file().await {
        Ok(bytes) => {
            let url = format!("{base}/files/{}", desk.keep(bytes));
            (StatusCode::OK, output(work, &url))
        }
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            detail(&error.to_string()),
        ),
    }
}

fn output(work: &Work, url: &str) -> Value {
    let (width, height) = work.size(work.media_type());
    match work.media_type() {
        MediaType::Image => json!({
            "images": [{ "url": url, "width": width, "height": height, "content_type": "image/png" }],
            "timings": { "inference": 0.5 }, "seed": work.seed(), "has_nsfw_concepts": [false],
            "prompt": work.prompt(),
        }),
        MediaType::Video => {
            json!({ "video": { "url": url, "content_type": "video/mp4" }, "seed": work.seed() })
        }
        MediaType::Audio => json!({ "audio": { "url": url, "content_type": "audio/wav" } }),
    }
}

async fn cancel(
    State(desk): State<Arc<Desk>>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Response {
    if let Some(answer) = desk.met_fault(Step::Cancel).await {
        return answer;
    }
    let (status, word) = match desk.works.get(&id) {
        None => (StatusCode::NOT_FOUND, "NOT_FOUND"),
        Some(work) if work.state() == At::Done => (StatusCode::BAD_REQUEST, "ALREADY_COMPLETED"),
        Some(work) => {
            work.cancelled.cancel();
            (StatusCode::ACCEPTED, "CANCELLATION_REQUESTED")
        }
    };
    (status, Json(json!({ "status": word }))).into_response()
}

/// Those of status and result have the owner and the app only, not what comes behind them.
fn addresses(headers: &HeaderMap, work: &Work, mut answer: Value) -> Value {
    let app: Vec<_> = work.model.split('/').take(2).collect();
    let own = format!("{}/{}/requests/{}", base(headers), app.join("/"), work.id);
    answer["request_id"] = work.id.as_str().into();
    answer["response_url"] = own.as_str().into();
    answer["status_url"] = format!("{own}/status").into();
    answer["cancel_url"] = format!("{own}/cancel").into();
    answer
}

/// Where the caller reached it.
pub(super) fn base(headers: &HeaderMap) -> String {
    let host = headers.get("host").and_then(|host| host.to_str().ok());
    format!("http://{}", host.unwrap_or("localhost"))
}

fn told(status: StatusCode, detail: &str) -> Response {
    (status, Json(json!({ "detail": detail }))).into_response()
}
