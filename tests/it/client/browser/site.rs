//! The web server of the page, which is not the server of the API.

use std::path::Path;

use axum::Router;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/web/public");

/// A web server on a port, and so an origin, of its own.
pub(super) struct Site {
    port: u16,
}

impl Site {
    pub(super) async fn start() -> Self {
        let bundle = Path::new(FOLDER).join("main.js");
        assert!(bundle.exists(), "the page is not built: run scripts/web");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(serve(listener));
        Self { port }
    }

    pub(super) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The page, which is to call the server at `api`, with further settings.
    pub(super) fn page(&self, api: &str, settings: &str) -> String {
        format!("{}/index.html?api={api}&user=7{settings}", self.origin())
    }
}

async fn serve(listener: TcpListener) {
    let router = Router::new().fallback(file);
    while let Ok((socket, _)) = listener.accept().await {
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let server = Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn file(uri: Uri) -> Response {
    let name = uri.path().trim_start_matches('/');
    let content_type = match name.rsplit('.').next() {
        Some("html") => "text/html",
        Some("css") => "text/css",
        _ => "text/javascript",
    };
    match tokio::fs::read(Path::new(FOLDER).join(name)).await {
        Ok(content) => ([(header::CONTENT_TYPE, content_type)], content).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
