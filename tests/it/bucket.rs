//! A bucket of a server that speaks S3, in this process.

use atelier::media::S3Settings;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::net::TcpListener;
use url::Url;

pub const BUCKET: &str = "pictures";

/// Starts an S3 server with one bucket in `root`. It ends with the test's runtime.
pub async fn serve_bucket(root: &TempDir) -> S3Settings {
    std::fs::create_dir(root.path().join(BUCKET)).unwrap();
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root.path()).unwrap());
    service.set_auth(SimpleAuth::from_single("the-id", "the-secret"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, service.build()));
    S3Settings {
        bucket: BUCKET.to_owned(),
        region: Some("us-east-1".to_owned()),
        endpoint: Some(Url::parse(&format!("http://{address}")).unwrap()),
        path_style: true,
        access_key_id: Some("the-id".to_owned()),
        secret_access_key: Some(SecretString::from("the-secret")),
        session_token: None,
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    while let Ok((socket, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            let server = Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}
