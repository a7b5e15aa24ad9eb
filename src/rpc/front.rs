//! The front for what speaks OpenAI's protocol, see docs/front.md: its calls become ordinary requests, by the use cases that
//! the calls of gRPC have too.

mod ask;
mod fields;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod images;
mod models;
mod outcome;
mod refusal;
mod speech;
mod videos;

use std::time::Duration;

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRequestParts, Request},
    http::{HeaderName, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use crate::{
    app::App,
    domain::{Caller, Error},
    identity::Principal,
    media::Limits,
};

use super::{authentication::principal_of, call};

use refusal::Refusal;

/// Most of a call's body: a prompt and what goes with it.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The same where pictures may come along.
const MAX_FORM_BYTES: usize = 64 * 1024 * 1024;
/// Which request an answer is of, for every other way to it.
const REQUEST: HeaderName = HeaderName::from_static("x-atelier-request-id");

/// What of a call had no effect, since nothing reads it.
const IGNORED: HeaderName = HeaderName::from_static("x-atelier-ignored-inputs");

/// What of the configuration the front goes by.
#[derive(Clone, Debug)]
pub struct FrontSettings {
    /// Whose requests those are that name nobody.
    pub user: Option<i64>,
    /// How long an answer waits for its media.
    pub wait: Duration,
    /// What reading a file may cost that an answer is made of.
    pub limits: Limits,
}

#[derive(Clone)]
struct Shared {
    app: App,
    settings: FrontSettings,
}

/// What answers one call.
struct Front {
    app: App,
    settings: FrontSettings,
    principal: Principal,
}

impl Front {
    /// Whose rows the call may see.
    fn caller(&self) -> Caller {
        self.principal.caller()
    }
}

impl FromRequestParts<Shared> for Front {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refusal> {
        let principal = principal_of(&parts.extensions)?.clone();
        let Shared { app, settings } = shared.clone();
        Ok(Self {
            app,
            settings,
            principal,
        })
    }
}

pub(super) fn router(app: App, settings: FrontSettings) -> Router {
    let large = DefaultBodyLimit::max(MAX_FORM_BYTES);
    let routes = Router::new()
        .route("/images/generations", post(images::generate))
        .route("/images/edits", post(images::edit).layer(large))
        .route("/audio/speech", post(speech::speak))
        .route(
            "/videos",
            get(videos::list).post(videos::create).layer(large),
        )
        .route("/videos/{id}", get(videos::show).delete(videos::delete))
        .route("/videos/{id}/content", get(videos::content))
        .route("/models", get(models::list))
        .route("/models/{*name}", get(models::show))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Shared { app, settings });
    Router::new().nest("/v1", routes)
}

/// Whether the path is the front's, where there is one.
pub(super) fn is_path(path: &str) -> bool {
    path.starts_with("/v1/")
}

/// For a call that does not come so far.
pub(super) fn refuse(error: Error) -> Response {
    Refusal::from(error).into_response()
}

async fn unknown(call: Request) -> Refusal {
    Refusal::unknown(call.method(), call.uri().path())
}
