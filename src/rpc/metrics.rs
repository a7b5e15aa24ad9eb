//! What operators watch, over plain HTTP on a port of its own.

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::{app::App, domain::with_causes, metrics::CONTENT_TYPE};

pub(super) fn router(app: App) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(app)
}

async fn metrics(State(app): State<App>) -> Response {
    match app.metrics_text().await {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(error = with_causes(&error), "cannot tell the metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
