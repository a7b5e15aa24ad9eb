//! OpenAI's images, videos and speech, and the videos of OpenRouter and xAI.

mod dialects;
mod videos;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Multipart, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    Desk, Step,
    fal::base,
    file,
    studio::{Edit, Order, edit, make, samples},
};
use crate::{domain::MediaType, provider::ProviderError};

type Answer = Result<Response, Response>;

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/v1/images/generations", post(generate))
        .route("/v1/images/edits", post(work_over))
        .route("/v1/audio/speech", post(speak))
        .route("/v1/videos", post(videos::create))
        .route("/v1/videos/generations", post(dialects::generate))
        .route("/v1/videos/{id}", get(videos::get).delete(videos::delete))
        .route("/v1/videos/{id}/content", get(videos::content))
        .route("/v1/moderations", post(moderate))
        .route("/v1/models", get(models))
        .route("/v1/files/{number}", get(file))
}

async fn models() -> Json<Value> {
    let model = |id: &str| json!({ "id": id, "object": "model", "owned_by": "stand-in" });
    let models = ["stand-in-image", "stand-in-speech", "stand-in-video"].map(model);
    Json(json!({ "object": "list", "data": models }))
}

/// What a text must say for it to be flagged, so that people can try it.
const FLAGGED: &str = "something violent";

/// Judges texts, each for itself, and pictures, of which it knows none that is flagged; more is for its faults.
async fn moderate(State(desk): State<Arc<Desk>>, body: Bytes) -> Answer {
    if let Some(answer) = desk.met_fault(Step::Submit).await {
        return Ok(answer);
    }
    let body = parse(&body)?;
    let texts = match &body["input"] {
        Value::Array(inputs) if inputs.iter().all(Value::is_string) => inputs.as_slice(),
        one => std::slice::from_ref(one),
    };
    let result = |text: &Value| {
        let text = text.as_str().unwrap_or_default().to_lowercase();
        let flagged = text.contains(FLAGGED);
        json!({ "flagged": flagged, "categories": { "violence": flagged, "harassment": false } })
    };
    let results: Vec<_> = texts.iter().map(result).collect();
    Ok(Json(json!({ "id": "modr-1", "model": "stand-in", "results": results })).into_response())
}

/// The formats of speech that are made here.
const SPOKEN: [&str; 3] = ["wav", "flac", "pcm"];

/// What is worked from.
#[derive(Default)]
struct Brought {
    pictures: Vec<Bytes>,
    mask: Option<Bytes>,
}

async fn generate(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> Answer {
    if let Some(answer) = desk.met_fault(Step::Submit).await {
        return Ok(answer);
    }
    draw(&desk, &base(&headers), &parse(&body)?, None).await
}

async fn work_over(State(desk): State<Arc<Desk>>, headers: HeaderMap, form: Multipart) -> Answer {
    if let Some(answer) = desk.met_fault(Step::Submit).await {
        return Ok(answer);
    }
    let (body, brought) = read(form).await?;
    if brought.pictures.is_empty() {
        let words = "image is required";
        return Err(refusal(StatusCode::BAD_REQUEST, "image", words));
    }
    draw(&desk, &base(&headers), &body, Some(&brought)).await
}

/// What a form says, and the files that it brings.
async fn read(mut form: Multipart) -> Result<(Value, Brought), Response> {
    let unread = |error: axum::extract::multipart::MultipartError| {
        refusal(StatusCode::BAD_REQUEST, "body", &error.to_string())
    };
    let mut brought = Brought::default();
    let mut body = Map::new();
    while let Some(field) = form.next_field().await.map_err(unread)? {
        let name = field.name().unwrap_or_default().to_owned();
        let content = field.bytes().await.map_err(unread)?;
        match name.as_str() {
            "image" | "image[]" | "input_reference" => brought.pictures.push(content),
            "mask" => brought.mask = Some(content),
            "prompt" => drop(body.insert(name, String::from_utf8_lossy(&content).into())),
            _ => {
                let text = || String::from_utf8_lossy(&content).into();
                let value = serde_json::from_slice(&content).unwrap_or_else(|_| text());
                body.insert(name, value);
            }
        }
    }
    Ok((Value::Object(body), brought))
}

async fn draw(desk: &Desk, base: &str, body: &Value, brought: Option<&Brought>) -> Answer {
    let prompt = required(body, "prompt")?;
    check_answer_s_form(body)?;
    let (width, height) = size(body, "1024x1024")?;
    let order = Order {
        media_type: MediaType::Image,
        prompt,
        width,
        height,
        format: body["output_format"].as_str().unwrap_or("png"),
        seed: number(&body["seed"], 1),
    };
    if body["stream"] == json!(true) {
        return stream(&order, brought, number(&body["partial_images"], 0)).await;
    }
    let mut data = Vec::new();
    for variation in 0..number(&body["n"], 1).min(10) {
        let seed = order.seed + variation;
        let picture = paint(&Order { seed, ..order }, brought).await?;
        data.push(match body["response_format"].as_str() {
            Some("url") => {
                let url = format!("{base}/v1/files/{}", desk.keep(picture));
                json!({ "url": url, "revised_prompt": prompt })
            }
            _ => json!({ "b64_json": BASE64_STANDARD.encode(picture), "revised_prompt": prompt }),
        });
    }
    let usage = json!({ "total_tokens": 100 });
    Ok(Json(json!({ "created": 1, "data": data, "usage": usage })).into_response())
}

/// The models that always answer with the picture itself do not know the parameter.
fn check_answer_s_form(body: &Value) -> Result<(), Response> {
    let model = body["model"].as_str().unwrap_or_default();
    if body["response_format"].is_null() || !model.starts_with("gpt-image") {
        return Ok(());
    }
    let name = "response_format";
    let words = format!("Unknown parameter: '{name}'.");
    Err(refusal(StatusCode::BAD_REQUEST, name, &words))
}

/// The picture grows before it is finished.
async fn stream(order: &Order<'_>, brought: Option<&Brought>, previews: u32) -> Answer {
    let name = match brought {
        None => "image_generation",
        Some(_) => "image_edit",
    };
    let mut events = String::new();
    for index in 0..=previews {
        let share = previews - index + 1;
        let (width, height) = (order.width / share, order.height / share);
        let smaller = Order {
            width,
            height,
            ..*order
        };
        let picture = paint(&smaller, brought).await?;
        let kind = match index == previews {
            true => format!("{name}.completed"),
            false => format!("{name}.partial_image"),
        };
        let mut event = json!({ "type": kind, "b64_json": BASE64_STANDARD.encode(picture) });
        if index < previews {
            event["partial_image_index"] = index.into();
        }
        events.push_str(&format!("event: {kind}\ndata: {event}\n\n"));
    }
    Ok(([(CONTENT_TYPE, "text/event-stream")], events).into_response())
}

async fn paint(order: &Order<'_>, brought: Option<&Brought>) -> Result<Bytes, Response> {
    let drawn = make(order).await.map_err(failed)?;
    let Some(brought) = brought else {
        return Ok(drawn);
    };
    let edited = edit(Edit {
        drawn: &drawn,
        made_from: &brought.pictures[0],
        mask: brought.mask.as_deref(),
    });
    edited.ok_or_else(|| refusal(StatusCode::BAD_REQUEST, "image", "Invalid image file"))
}

async fn speak(State(desk): State<Arc<Desk>>, body: Bytes) -> Answer {
    if let Some(answer) = desk.met_fault(Step::Submit).await {
        return Ok(answer);
    }
    let body = parse(&body)?;
    let prompt = required(&body, "input")?;
    required(&body, "voice")?;
    let format = body["response_format"].as_str().unwrap_or("wav");
    if !SPOKEN.contains(&format) {
        let words = format!("This stand-in speaks {}, not {format}.", SPOKEN.join(", "));
        return Err(refusal(StatusCode::BAD_REQUEST, "response_format", &words));
    }
    let is_raw = format == "pcm";
    let order = Order {
        media_type: MediaType::Audio,
        prompt,
        width: 0,
        height: 0,
        format: if is_raw { "wav" } else { format },
        seed: 1,
    };
    let sound = make(&order).await.map_err(failed)?;
    if is_raw {
        let samples = samples(&sound).map_err(failed)?;
        return Ok(([(CONTENT_TYPE, "audio/pcm")], samples).into_response());
    }
    // As one well-known server labels its sound.
    Ok(([(CONTENT_TYPE, "text/html")], sound).into_response())
}

fn parse(body: &[u8]) -> Result<Value, Response> {
    serde_json::from_slice(body)
        .map_err(|error| refusal(StatusCode::BAD_REQUEST, "body", &error.to_string()))
}

fn required<'a>(body: &'a Value, name: &str) -> Result<&'a str, Response> {
    let text = body[name].as_str().filter(|text| !text.is_empty());
    text.ok_or_else(|| {
        refusal(
            StatusCode::BAD_REQUEST,
            name,
            &format!("{name} is required"),
        )
    })
}

fn size(body: &Value, default: &str) -> Result<(u32, u32), Response> {
    let text = body["size"].as_str().unwrap_or(default);
    let sides = text.split_once('x');
    let sides = sides.and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let sides = sides.filter(|(w, h)| (64..=4096).contains(w) && (64..=4096).contains(h));
    sides.ok_or_else(|| {
        refusal(
            StatusCode::BAD_REQUEST,
            "size",
            &format!("{text} is no size"),
        )
    })
}

fn number(value: &Value, default: u32) -> u32 {
    value
        .as_u64()
        .and_then(|it| u32::try_from(it).ok())
        .unwrap_or(default)
}

fn failed(error: ProviderError) -> Response {
    refusal(StatusCode::INTERNAL_SERVER_ERROR, "", &error.to_string())
}

fn refusal(status: StatusCode, param: &str, message: &str) -> Response {
    let kind = "invalid_request_error";
    let error = json!({ "message": message, "type": kind, "param": param, "code": null });
    (status, Json(json!({ "error": error }))).into_response()
}
