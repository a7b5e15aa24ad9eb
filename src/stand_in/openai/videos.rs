//! OpenAI's videos: a job that is asked for until it is done, and its clip.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequest, Multipart, Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Answer, base,
    dialects::{self, Dialect},
    failed, parse, read, refusal, required, size,
};
use crate::{
    domain::MediaType,
    provider::ProviderError,
    stand_in::{
        Desk, Step,
        works::{State as At, Work},
    },
};

/// The size of a clip that names none.
const SIZE: &str = "720x1280";

pub(super) async fn create(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    request: Request,
) -> Answer {
    if let Some(answer) = desk.met_fault(Step::Submit).await {
        return Ok(answer);
    }
    let body = body_of(request).await?;
    let prompt = required(&body, "prompt")?;
    if Dialect::is_openrouter_s(&body) {
        return Ok(dialects::begin(&desk, &headers, body, Dialect::OpenRouter));
    }
    let (width, height) = size(&body, SIZE)?;
    let seconds = match &body["seconds"] {
        Value::Number(seconds) => seconds.to_string(),
        seconds => seconds.as_str().unwrap_or("4").to_owned(),
    };
    let input = json!({
        "prompt": prompt, "seed": body["seed"], "width": width, "height": height, "seconds": seconds,
    });
    let model = body["model"].as_str().unwrap_or("stand-in-video");
    let id = format!("video_{}", Uuid::new_v4().simple());
    Ok(Json(told(&desk.works.add(Some(id), model, input))).into_response())
}

/// It comes as a form, or as JSON where it brings no picture.
async fn body_of(request: Request) -> Result<Value, Response> {
    let unread = |words: &str| refusal(StatusCode::BAD_REQUEST, "body", words);
    let kind = request.headers().get(CONTENT_TYPE);
    if kind.is_some_and(|it| it.as_bytes().starts_with(b"multipart/")) {
        let form = Multipart::from_request(request, &()).await;
        let form = form.map_err(|error| unread(&error.body_text()))?;
        return Ok(read(form).await?.0);
    }
    let body = Bytes::from_request(request, &()).await;
    parse(&body.map_err(|error| unread(&error.body_text()))?)
}

pub(super) async fn get(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(answer) = desk.met_fault(Step::Poll).await {
        return answer;
    }
    match desk.works.look(&id) {
        Some(work) => Json(match Dialect::of(&work) {
            Some(dialect) => dialect.told(&work, &base(&headers)),
            None => told(&work),
        })
        .into_response(),
        None => unknown(),
    }
}

fn told(work: &Work) -> Value {
    let (status, progress) = match work.state() {
        At::Waiting => ("queued", 0),
        At::Running => ("in_progress", 50),
        At::Done => ("completed", 100),
        At::Cancelled => ("failed", 0),
    };
    let (width, height) = work.size(MediaType::Video);
    let size = format!("{width}x{height}");
    json!({
        "id": work.id, "object": "video", "model": work.model, "status": status, "progress": progress, "created_at": 1,
        "completed_at": (status == "completed").then_some(2), "expires_at": null, "error": null,
        "prompt": work.prompt(), "seconds": work.seconds().to_string(), "size": size, "remixed_from_video_id": null,
    })
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    variant: Option<String>,
}

pub(super) async fn content(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    if let Some(answer) = desk.met_fault(Step::Result).await {
        return Ok(answer);
    }
    let work = desk.works.get(&id).ok_or_else(unknown)?;
    if work.state() != At::Done {
        let words = "Video is not ready yet, use GET /v1/videos/{video_id} to check status.";
        return Err(refusal(StatusCode::BAD_REQUEST, "", words));
    }
    match wanted.variant.as_deref() {
        None | Some("video") => {
            let clip = clip(&desk, &work).await.map_err(failed)?;
            Ok(([(CONTENT_TYPE, "video/mp4")], clip).into_response())
        }
        Some("thumbnail") => {
            let still = work.still("webp").await.map_err(failed)?;
            Ok(([(CONTENT_TYPE, "image/webp")], still).into_response())
        }
        Some(other) => {
            let words = format!("This stand-in has video and thumbnail, not {other}.");
            Err(refusal(StatusCode::BAD_REQUEST, "variant", &words))
        }
    }
}

/// The same at each call.
async fn clip(desk: &Desk, work: &Work) -> Result<Bytes, ProviderError> {
    if let Some(clip) = work.made.and_then(|number| desk.file(number)) {
        return Ok(clip);
    }
    let clip = work.clip().await?;
    desk.works.made(&work.id, desk.keep(clip.clone()));
    Ok(clip)
}

/// What is deleted while it is worked on is stopped.
pub(super) async fn delete(State(desk): State<Arc<Desk>>, Path(id): Path<String>) -> Response {
    if let Some(answer) = desk.met_fault(Step::Cancel).await {
        return answer;
    }
    match desk.works.remove(&id) {
        Some(work) => {
            work.cancelled.cancel();
            let deleted = json!({ "id": id, "object": "video.deleted", "deleted": true });
            Json(deleted).into_response()
        }
        None => unknown(),
    }
}

fn unknown() -> Response {
    refusal(StatusCode::NOT_FOUND, "video_id", "Video not found")
}
