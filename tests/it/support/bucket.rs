//! A bucket of a server that speaks S3, in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use atelier::config::{Config, StorageBackend};
use atelier::media::S3Settings;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::dto::DeleteObjectInput;
use s3s::host::SingleDomain;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Request, S3Result};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use url::Url;

use crate::support::server::within;

pub(crate) const BUCKET: &str = "pictures";

/// Starts an S3 server with one bucket in `root`. It ends with the test's runtime.
pub(crate) async fn serve_bucket(root: &TempDir) -> S3Settings {
    serve(builder(root)).await
}

/// The same, and this lets calls through.
pub(crate) async fn serve_bucket_by(root: &TempDir, access: impl S3Access) -> S3Settings {
    let mut service = builder(root);
    service.set_access(access);
    serve(service).await
}

/// The same, with the bucket in the host's name: it is `pictures` at this domain, which only who goes by the server as by a proxy
/// finds. The server's address, too.
pub(crate) async fn serve_bucket_at(root: &TempDir, domain: &str) -> (S3Settings, Url) {
    let mut service = builder(root);
    service.set_host(SingleDomain::new(domain).unwrap());
    let mut settings = serve(service).await;
    let endpoint = Url::parse(&format!("http://{domain}")).unwrap();
    let server = settings.endpoint.replace(endpoint).unwrap();
    settings.path_style = false;
    (settings, server)
}

/// The same, and it refuses objects with this end of their name until the refusal is lifted.
pub(crate) async fn serve_bucket_refusing(
    root: &TempDir,
    suffix: &'static str,
) -> (S3Settings, Refusal) {
    let refusal = Refusal {
        suffix,
        lifted: Arc::default(),
        refused: Arc::default(),
    };
    let mut service = builder(root);
    service.set_access(refusal.clone());
    (serve(service).await, refusal)
}

/// What a bucket does not take.
#[derive(Clone)]
pub(crate) struct Refusal {
    suffix: &'static str,
    lifted: Arc<AtomicBool>,
    refused: Arc<Notify>,
}

impl Refusal {
    /// Waits until an object has been refused.
    pub(crate) async fn refused(&self) {
        within(self.refused.notified()).await;
    }

    /// From now on it is not taken again.
    pub(crate) fn impose(&self) {
        self.lifted.store(false, Ordering::SeqCst);
    }

    /// From now on everything is taken.
    pub(crate) fn lift(&self) {
        self.lifted.store(true, Ordering::SeqCst);
    }
}

/// The same, and objects with this in their name have to wait.
pub(crate) async fn serve_bucket_holding(root: &TempDir, part: &'static str) -> (S3Settings, Hold) {
    let hold = Hold {
        part,
        begun: Arc::default(),
        permits: Arc::new(Semaphore::new(0)),
    };
    let mut service = builder(root);
    service.set_access(hold.clone());
    (serve(service).await, hold)
}

/// What holds writes up.
#[derive(Clone)]
pub(crate) struct Hold {
    part: &'static str,
    begun: Arc<Notify>,
    permits: Arc<Semaphore>,
}

impl Hold {
    /// Waits until an object is held up.
    pub(crate) async fn begun(&self) {
        within(self.begun.notified()).await;
    }

    /// From now on nothing waits.
    pub(crate) fn end(&self) {
        self.permits.close();
    }
}

#[async_trait]
impl S3Access for Hold {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let writes = context.s3_op().name() == "PutObject";
        if writes && context.uri().path().contains(self.part) && !self.permits.is_closed() {
            self.begun.notify_one();
            let _ = self.permits.acquire().await;
        }
        Ok(())
    }
}

/// The same, and it never lets objects with this end of their name be removed.
pub(crate) async fn serve_bucket_keeping(root: &TempDir, suffix: &'static str) -> S3Settings {
    let mut service = builder(root);
    service.set_access(Keeping(suffix));
    serve(service).await
}

struct Keeping(&'static str);

#[async_trait]
impl S3Access for Keeping {
    async fn check(&self, _: &mut S3AccessContext<'_>) -> S3Result<()> {
        Ok(())
    }

    async fn delete_object(&self, request: &mut S3Request<DeleteObjectInput>) -> S3Result<()> {
        match request.input.key.ends_with(self.0) {
            true => Err(s3s::s3_error!(AccessDenied, "refused by the test")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl S3Access for Refusal {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let writes = context.s3_op().name() == "PutObject";
        let named = context.uri().path().ends_with(self.suffix);
        if writes && named && !self.lifted.load(Ordering::SeqCst) {
            self.refused.notify_one();
            return Err(s3s::s3_error!(AccessDenied, "refused by the test"));
        }
        if context.credentials().is_none() {
            return Err(s3s::s3_error!(AccessDenied, "unsigned"));
        }
        Ok(())
    }
}

/// The same, and it lets nobody look or write outside of the path `prefix`, as the policy of a shared bucket would.
pub(crate) async fn serve_bucket_below(root: &TempDir, prefix: &'static str) -> S3Settings {
    let mut service = builder(root);
    service.set_access(Below(prefix));
    serve(service).await
}

struct Below(&'static str);

#[async_trait]
impl S3Access for Below {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let query = context.uri().query().unwrap_or_default();
        let mut query = url::form_urlencoded::parse(query.as_bytes());
        let named = match context.s3_op().name() {
            "ListObjects" | "ListObjectsV2" => query
                .find(|(name, _)| name == "prefix")
                .map(|(_, prefix)| prefix.into_owned()),
            _ => {
                let object = context.uri().path().strip_prefix(&format!("/{BUCKET}/"));
                object.map(str::to_owned)
            }
        };
        let is_signed = context.credentials().is_some();
        self.admit(is_signed && named.is_some_and(|named| self.has(&named)))
    }
}

impl Below {
    fn has(&self, name: &str) -> bool {
        name.starts_with(&format!("{}/", self.0))
    }

    fn admit(&self, is_allowed: bool) -> S3Result<()> {
        match is_allowed {
            true => Ok(()),
            false => Err(s3s::s3_error!(AccessDenied, "refused by the test")),
        }
    }
}

/// The same, and all calls fail for as long as an outage lasts.
pub(crate) async fn serve_bucket_with_outages(root: &TempDir) -> (S3Settings, Outage) {
    let outage = Outage::default();
    let mut service = builder(root);
    service.set_access(outage.clone());
    (serve(service).await, outage)
}

/// What the service says of an outage, which no client is to see.
pub(crate) const OUTAGE: &str = "shelf 7 is on fire";

/// Whether the service is away, or counts from another time.
#[derive(Clone, Default)]
pub(crate) struct Outage {
    on: Arc<AtomicBool>,
    skewed: Arc<AtomicBool>,
    refused: Arc<Notify>,
}

impl Outage {
    pub(crate) fn begin(&self) {
        self.on.store(true, Ordering::SeqCst);
    }

    /// From now on all calls come from another time.
    pub(crate) fn skew(&self) {
        self.skewed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn end(&self) {
        self.on.store(false, Ordering::SeqCst);
        self.skewed.store(false, Ordering::SeqCst);
    }

    /// Waits until the service has been asked in vain for so long.
    pub(crate) async fn lasts(&self, time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            within(self.refused.notified()).await;
        }
    }
}

#[async_trait]
impl S3Access for Outage {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if self.on.load(Ordering::SeqCst) {
            self.refused.notify_one();
            return Err(s3s::s3_error!(ServiceUnavailable, "{OUTAGE}"));
        }
        if self.skewed.load(Ordering::SeqCst) {
            return Err(s3s::s3_error!(
                RequestTimeTooSkewed,
                "The difference between the request time and the current time is too large."
            ));
        }
        if context.credentials().is_none() {
            return Err(s3s::s3_error!(AccessDenied, "unsigned"));
        }
        Ok(())
    }
}

/// The settings of a server that keeps its media there.
pub(crate) fn keep_media_in(bucket: &S3Settings, config: &mut Config) {
    config.storage.backend = StorageBackend::S3;
    config.storage.bucket = Some(bucket.bucket.clone());
    config.storage.region = bucket.region.clone();
    config.storage.endpoint = bucket.endpoint.clone();
    config.storage.link_endpoint = bucket.link_endpoint.clone();
    config.storage.path_style = bucket.path_style;
    config.storage.access_key_id = bucket.access_key_id.clone();
    config.storage.secret_access_key = bucket.secret_access_key.clone();
}

/// The same for a process.
pub(crate) fn s3_settings(bucket: &S3Settings) -> Vec<String> {
    let secret = bucket.secret_access_key.as_ref().unwrap().expose_secret();
    let id = bucket.access_key_id.as_ref().unwrap();
    vec![
        "storage.backend=s3".to_owned(),
        format!("storage.bucket={}", bucket.bucket),
        format!("storage.region={}", bucket.region.as_ref().unwrap()),
        format!("storage.endpoint={}", bucket.endpoint.as_ref().unwrap()),
        format!("storage.path_style={}", bucket.path_style),
        format!("storage.access_key_id={id}"),
        format!("storage.secret_access_key={secret}"),
    ]
}

fn builder(root: &TempDir) -> S3ServiceBuilder {
    std::fs::create_dir(root.path().join(BUCKET)).unwrap();
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root.path()).unwrap());
    service.set_auth(SimpleAuth::from_single("the-id", "the-secret"));
    service
}

async fn serve(service: S3ServiceBuilder) -> S3Settings {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(answer(listener, service.build()));
    S3Settings {
        bucket: BUCKET.to_owned(),
        region: Some("us-east-1".to_owned()),
        endpoint: Some(Url::parse(&format!("http://{address}")).unwrap()),
        link_endpoint: None,
        path_style: true,
        access_key_id: Some("the-id".to_owned()),
        secret_access_key: Some(SecretString::from("the-secret")),
        session_token: None,
    }
}

async fn answer(listener: TcpListener, service: S3Service) {
    while let Ok((socket, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            let server = Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}
