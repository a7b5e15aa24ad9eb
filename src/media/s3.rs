//! Access to a bucket of Amazon S3 or a service that speaks its protocol.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};
use object_store::{ClientOptions, RetryConfig};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use crate::domain::has_cause;

/// Longest lifetime of a presigned URL that S3 accepts.
pub(super) const MAX_LINK_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long a service may stay silent: while it sends an object, and until it answers at all, by
/// which time an upload, or a part of a large one, must be through. There is no limit on the whole of a download.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const DEFAULT_REGION: &str = "us-east-1";

/// A job retries by itself, so a request needs to outlast hiccups only.
const MAX_RETRIES: usize = 4;
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// Which bucket, where, and who asks.
#[derive(Clone, Debug)]
pub struct S3Settings {
    /// The bucket's name.
    pub bucket: String,
    /// The region to sign requests for, for example `eu-central-1`; absent: what `AWS_REGION` or
    /// `AWS_DEFAULT_REGION` says, else `us-east-1`, which services without regions mostly take.
    pub region: Option<String>,
    /// The service's address without the bucket; absent: Amazon's in the region.
    pub endpoint: Option<Url>,
    /// The same service's address for clients, which links lead to and are signed for; absent: the endpoint.
    pub link_endpoint: Option<Url>,
    /// Whether the bucket stands in the path (`https://host/bucket/key`) and not in the host
    /// (`https://bucket.host/key`).
    pub path_style: bool,
    /// Without credentials here, the usual environment is asked: `AWS_ACCESS_KEY_ID` and its like,
    /// web identity, container and instance metadata.
    pub access_key_id: Option<String>,
    /// Goes with `access_key_id`.
    pub secret_access_key: Option<SecretString>,
    /// Goes with temporary credentials.
    pub session_token: Option<SecretString>,
}

/// Settings that no client can be made from.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidSettings {
    #[error("the endpoint {0} takes no bucket in its host name: use path style")]
    NoHostName(Url),
    #[error("{0:?} is not the name of a region")]
    Region(String),
    #[error("access key id and secret access key go together")]
    HalfCredentials,
    #[error(transparent)]
    Client(#[from] object_store::Error),
}

impl S3Settings {
    /// The URL under which the bucket's objects stand, without a slash at the end.
    pub(super) fn bucket_url(&self) -> Result<Url, InvalidSettings> {
        self.bucket_url_at(self.endpoint.as_ref())
    }

    /// The same for clients.
    pub(super) fn link_url(&self) -> Result<Url, InvalidSettings> {
        self.bucket_url_at(self.link_endpoint.as_ref().or(self.endpoint.as_ref()))
    }

    fn bucket_url_at(&self, endpoint: Option<&Url>) -> Result<Url, InvalidSettings> {
        let mut url = match endpoint {
            Some(endpoint) => endpoint.clone(),
            None => amazon(&self.region())?,
        };
        if self.path_style {
            let path = format!("{}/{}", url.path().trim_end_matches('/'), self.bucket);
            url.set_path(&path);
            return Ok(url);
        }
        let host = match url.host() {
            Some(Host::Domain(domain)) => format!("{}.{domain}", self.bucket),
            _ => return Err(InvalidSettings::NoHostName(url)),
        };
        url.set_host(Some(&host))
            .map_err(|_| InvalidSettings::NoHostName(url.clone()))?;
        Ok(url)
    }

    /// A client for the bucket. No request is made yet.
    pub(super) fn client(&self) -> Result<AmazonS3, InvalidSettings> {
        install_tls_provider();
        let bucket_url = self.bucket_url()?;
        let options = ClientOptions::new()
            .with_allow_http(bucket_url.scheme() == "http")
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_read_timeout(READ_TIMEOUT)
            .with_timeout_disabled();
        // Told that requests are virtual-hosted, the builder takes the endpoint as it stands,
        // bucket included. Otherwise it could not place the bucket in the host name of a configured
        // endpoint.
        let client = self
            .credentials()?
            .with_client_options(options)
            .with_http_connector(Connector)
            .with_retry(RetryConfig {
                max_retries: MAX_RETRIES,
                retry_timeout: RETRY_TIMEOUT,
                ..RetryConfig::default()
            })
            .with_bucket_name(&self.bucket)
            .with_region(self.region())
            .with_config(
                AmazonS3ConfigKey::S3Endpoint,
                bucket_url.as_str().trim_end_matches('/'),
            )
            .with_virtual_hosted_style_request(true)
            // Removing several at once takes a checksum that not every service knows, and nobody here does.
            .with_disable_bulk_delete(true);
        Ok(client.build()?)
    }

    /// The region to sign requests for.
    pub(super) fn region(&self) -> String {
        let configured = self.region.clone();
        configured
            .or_else(|| AmazonS3Builder::from_env().get_config_value(&AmazonS3ConfigKey::Region))
            .unwrap_or_else(|| DEFAULT_REGION.to_owned())
    }

    fn credentials(&self) -> Result<AmazonS3Builder, InvalidSettings> {
        match (&self.access_key_id, &self.secret_access_key) {
            (None, None) => Ok(AmazonS3Builder::from_env()),
            (Some(id), Some(secret)) => {
                let builder = AmazonS3Builder::new()
                    .with_access_key_id(id)
                    .with_secret_access_key(secret.expose_secret());
                Ok(match &self.session_token {
                    Some(token) => builder.with_token(token.expose_secret()),
                    None => builder,
                })
            }
            _ => Err(InvalidSettings::HalfCredentials),
        }
    }
}

/// Makes object_store's own client an [`Unsent`] one.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Unsent(client)))
    }
}

/// Tells of a request that its connection was closed before a byte of it was sent, so that it is sent again: object_store takes
/// that for an error it does not know.
#[derive(Debug)]
struct Unsent(HttpClient);

#[async_trait]
impl HttpService for Unsent {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.0.execute(request).await.map_err(|error| {
            if has_cause(&error, hyper::Error::is_canceled) {
                HttpError::new(HttpErrorKind::Request, error)
            } else {
                error
            }
        })
    }
}

impl fmt::Display for S3Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bucket {}", self.bucket)?;
        match &self.endpoint {
            Some(endpoint) => write!(f, " at {endpoint}"),
            None => write!(f, " in {}", self.region()),
        }
    }
}

fn amazon(region: &str) -> Result<Url, InvalidSettings> {
    Url::parse(&format!("https://s3.{region}.amazonaws.com"))
        .map_err(|_| InvalidSettings::Region(region.to_owned()))
}

/// Makes ring the process's TLS provider unless one is installed: the HTTP client is built without
/// a default.
fn install_tls_provider() {
    // An error says that another part of the process was first, and its choice is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(endpoint: Option<&str>, path_style: bool) -> S3Settings {
        S3Settings {
            bucket: "media".to_owned(),
            region: Some("eu-central-1".to_owned()),
            endpoint: endpoint.map(|url| Url::parse(url).unwrap()),
            link_endpoint: None,
            path_style,
            access_key_id: Some("id".to_owned()),
            secret_access_key: Some(SecretString::from("hunter2")),
            session_token: None,
        }
    }

    fn bucket_url(endpoint: Option<&str>, path_style: bool) -> String {
        settings(endpoint, path_style).bucket_url().unwrap().into()
    }

    #[test]
    fn the_bucket_stands_in_the_host_or_in_the_path() {
        assert_eq!(
            bucket_url(None, false),
            "https://media.s3.eu-central-1.amazonaws.com/"
        );
        assert_eq!(
            bucket_url(None, true),
            "https://s3.eu-central-1.amazonaws.com/media"
        );
        assert_eq!(
            bucket_url(Some("https://minio.example:9000"), false),
            "https://media.minio.example:9000/"
        );
        assert_eq!(
            bucket_url(Some("http://127.0.0.1:9000/"), true),
            "http://127.0.0.1:9000/media"
        );
    }

    #[test]
    fn links_lead_to_the_address_for_clients_if_there_is_one() {
        let mut inside = settings(Some("http://minio:9000"), true);
        let link_url = |settings: &S3Settings| String::from(settings.link_url().unwrap());
        assert_eq!(link_url(&inside), "http://minio:9000/media");
        inside.link_endpoint = Some(Url::parse("https://media.example.com").unwrap());
        assert_eq!(link_url(&inside), "https://media.example.com/media");
        assert_eq!(
            String::from(inside.bucket_url().unwrap()),
            "http://minio:9000/media"
        );
    }

    #[test]
    fn an_address_without_a_host_name_needs_path_style() {
        let error = settings(Some("http://127.0.0.1:9000"), false)
            .client()
            .unwrap_err();
        assert!(error.to_string().contains("path style"), "{error}");
    }

    #[test]
    fn half_of_the_credentials_is_refused() {
        let mut half = settings(None, false);
        half.secret_access_key = None;
        assert!(matches!(
            half.client(),
            Err(InvalidSettings::HalfCredentials)
        ));
    }

    #[test]
    fn a_region_that_is_no_host_name_is_refused() {
        let mut odd = settings(None, false);
        odd.region = Some("eu central".to_owned());
        assert!(matches!(odd.client(), Err(InvalidSettings::Region(_))));
    }

    #[test]
    fn clients_for_https_are_made_any_number_of_times() {
        for _ in 0..2 {
            settings(None, false).client().unwrap();
        }
    }

    /// A client whose connection is closed before a request is sent.
    #[derive(Debug)]
    struct Closed;

    #[async_trait]
    impl HttpService for Closed {
        async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
            let (connection, _) = tokio::io::duplex(1);
            let connection = hyper_util::rt::TokioIo::new(connection);
            let opened = hyper::client::conn::http1::handshake(connection).await;
            let (mut sender, _) = opened.unwrap();
            let request = axum::http::Request::new(String::new());
            let error = sender.send_request(request).await.unwrap_err();
            Err(HttpError::new(HttpErrorKind::Unknown, error))
        }
    }

    #[tokio::test]
    async fn a_request_that_was_never_sent_is_sent_again() {
        let client = HttpClient::new(Unsent(HttpClient::new(Closed)));
        let request = HttpRequest::new(object_store::client::HttpRequestBody::empty());
        let error = client.execute(request).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Request, "{error}");
    }

    #[test]
    fn secrets_are_not_printed() {
        assert!(!format!("{:?}", settings(None, false)).contains("hunter2"));
    }
}
