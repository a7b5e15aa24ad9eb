//! The shapes that OpenRouter and xAI have given to their videos. Both have the paths of OpenAI's, so that what is asked for
//! tells whose answers are wanted.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Answer, base, parse, required};
use crate::stand_in::{
    Desk, Step,
    works::{State as At, Work},
};

/// What OpenRouter's calls say and OpenAI's do not.
const OF_OPENROUTER: [&str; 4] = ["aspect_ratio", "duration", "frame_images", "resolution"];

/// Where a work says whose it is.
const KEY: &str = "dialect";

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Dialect {
    OpenRouter,
    XAi,
}

impl Dialect {
    pub(super) fn is_openrouter_s(body: &Value) -> bool {
        OF_OPENROUTER.iter().any(|key| !body[key].is_null())
    }

    /// `None` for OpenAI's own.
    pub(super) fn of(work: &Work) -> Option<Self> {
        let all = [Self::OpenRouter, Self::XAi];
        all.into_iter().find(|it| work.input[KEY] == it.name())
    }

    fn name(self) -> &'static str {
        match self {
            Self::OpenRouter => "openrouter",
            Self::XAi => "xai",
        }
    }

    /// How it is with the work.
    pub(super) fn told(self, work: &Work, base: &str) -> Value {
        let state = work.state();
        let url = format!("{base}/v1/videos/{}", work.id);
        let content = format!("{url}/content?variant=video");
        match self {
            Self::OpenRouter => {
                let status = match state {
                    At::Waiting => "pending",
                    At::Running => "in_progress",
                    At::Done => "completed",
                    At::Cancelled => "cancelled",
                };
                let urls: Vec<_> = (state == At::Done).then_some(content).into_iter().collect();
                json!({
                    "id": work.id, "generation_id": work.id, "polling_url": url, "status": status,
                    "unsigned_urls": urls, "usage": { "cost": 0.0 },
                })
            }
            Self::XAi => match state {
                At::Waiting | At::Running => json!({ "status": "pending" }),
                At::Cancelled => json!({ "status": "expired" }),
                At::Done => json!({
                    "status": "done", "model": work.model,
                    "video": { "url": content, "respect_moderation": true },
                }),
            },
        }
    }
}

/// xAI's way to ask for one.
pub(super) async fn generate(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    if let Some(answer) = desk.met_fault(Step::Submit).await {
        return Ok(answer);
    }
    let body = parse(&body)?;
    required(&body, "prompt")?;
    Ok(begin(&desk, &headers, body, Dialect::XAi))
}

/// Takes on what has a prompt.
pub(super) fn begin(
    desk: &Desk,
    headers: &HeaderMap,
    mut body: Value,
    dialect: Dialect,
) -> Response {
    body[KEY] = dialect.name().into();
    let model = body["model"]
        .as_str()
        .unwrap_or("stand-in-video")
        .to_owned();
    let work = desk.works.add(None, &model, body);
    match dialect {
        Dialect::OpenRouter => {
            let told = dialect.told(&work, &base(headers));
            (StatusCode::ACCEPTED, Json(told)).into_response()
        }
        Dialect::XAi => Json(json!({ "request_id": work.id })).into_response(),
    }
}
