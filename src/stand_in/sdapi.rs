//! AUTOMATIC1111's web UI. Below `/sd-server` it is as stable-diffusion.cpp has it: without progress, interruption and `info`.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Desk, Fault, Step,
    studio::{Edit, Order, edit, make},
};
use crate::domain::MediaType;

const WITHOUT_PROGRESS: &str = "/sd-server";
/// Of one picture, whatever is asked for.
const STEPS: u32 = 20;

type Answer = Result<Response, Response>;

/// The one place where work is done.
#[derive(Default)]
struct Easel {
    turn: tokio::sync::Mutex<()>,
    state: Mutex<Work>,
}

/// What is told of the work, whosever it is.
#[derive(Clone, Default)]
struct Work {
    step: u32,
    interrupted: bool,
    preview: Option<Bytes>,
}

impl Easel {
    fn state(&self) -> MutexGuard<'_, Work> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes its time, unless it is interrupted.
    async fn work(&self, picture: &Bytes, time: Duration) {
        *self.state() = Work::default();
        for step in 1..=STEPS {
            tokio::time::sleep(time / STEPS).await;
            let mut state = self.state();
            if state.interrupted {
                break;
            }
            (state.step, state.preview) = (step, Some(picture.clone()));
        }
        let mut state = self.state();
        (state.step, state.preview) = (0, None);
    }
}

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/sdapi/v1/txt2img", post(draw))
        .route("/sdapi/v1/img2img", post(draw))
        .route("/sd-server/sdapi/v1/txt2img", post(draw))
        .route("/sd-server/sdapi/v1/img2img", post(draw))
        .route("/sdapi/v1/progress", get(progress))
        .route("/sdapi/v1/interrupt", post(interrupt))
        .route("/sdapi/v1/options", get(options))
        .layer(Extension(Arc::<Easel>::default()))
}

async fn options() -> Json<Value> {
    Json(json!({ "sd_model_checkpoint": "stand-in" }))
}

async fn progress(Extension(easel): Extension<Arc<Easel>>) -> Json<Value> {
    let work = easel.state().clone();
    let state = json!({
        "sampling_step": work.step, "sampling_steps": STEPS, "interrupted": work.interrupted,
        "job_count": u8::from(work.step > 0),
    });
    Json(json!({
        "progress": f64::from(work.step) / f64::from(STEPS), "state": state, "textinfo": null,
        "current_image": work.preview.map(|preview| BASE64_STANDARD.encode(preview)),
    }))
}

async fn interrupt(Extension(easel): Extension<Arc<Easel>>) -> Json<Value> {
    easel.state().interrupted = true;
    Json(json!({}))
}

async fn draw(
    State(desk): State<Arc<Desk>>,
    Extension(easel): Extension<Arc<Easel>>,
    uri: Uri,
    body: Bytes,
) -> Answer {
    let time = match desk.next_fault(Step::Submit) {
        Some(Fault::Delay(milliseconds)) => Duration::from_millis(milliseconds),
        Some(fault) => match fault.happen().await {
            Some(answer) => return Ok(answer),
            None => Duration::ZERO,
        },
        None => Duration::ZERO,
    };
    let body: Value = serde_json::from_slice(&body)
        .map_err(|error| refusal(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()))?;
    let number = |key: &str| body[key].as_u64().and_then(|it| u32::try_from(it).ok());
    let seed = number("seed").unwrap_or(4_711);
    let order = Order {
        media_type: MediaType::Image,
        prompt: body["prompt"].as_str().unwrap_or_default(),
        width: number("width").unwrap_or(512),
        height: number("height").unwrap_or(512),
        format: "png",
        seed,
    };
    let failed = |words: &str| refusal(StatusCode::INTERNAL_SERVER_ERROR, words);
    let mut picture = make(&order)
        .await
        .map_err(|error| failed(&error.to_string()))?;
    if uri.path().ends_with("img2img") {
        let file = |value: &Value| BASE64_STANDARD.decode(value.as_str()?).ok();
        let made_from = file(&body["init_images"][0])
            .ok_or_else(|| refusal(StatusCode::NOT_FOUND, "Init image not found"))?;
        let edited = edit(Edit {
            drawn: &picture,
            made_from: &made_from,
            mask: file(&body["mask"]).as_deref(),
        });
        picture = edited.ok_or_else(|| failed("Invalid encoded image"))?;
    }
    let _turn = easel.turn.lock().await;
    easel.work(&picture, time).await;
    let told = match uri.path().starts_with(WITHOUT_PROGRESS) {
        true => String::new(),
        false => json!({
            "all_seeds": [seed], "seed": seed, "width": order.width, "height": order.height,
            "sd_model_name": body["override_settings"]["sd_model_checkpoint"].as_str().unwrap_or("stand-in"),
        })
        .to_string(),
    };
    let images = [BASE64_STANDARD.encode(picture)];
    Ok(Json(json!({ "images": images, "parameters": body, "info": told })).into_response())
}

fn refusal(status: StatusCode, words: &str) -> Response {
    (status, Json(json!({ "detail": words }))).into_response()
}
