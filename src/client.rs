//! A client of the service, thin over the generated stubs: it connects, repeats what failed in passing, watches jobs to
//! their end over connections that break, uploads files, and downloads files that it checks.
//!
//! ```no_run
//! use atelier::client::{Client, proto};
//! use futures::TryStreamExt;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("http://127.0.0.1:50051").await?;
//! let created = client
//!     .requests()
//!     .create_request(proto::CreateRequestRequest {
//!         user_id: 1,
//!         feature_id: 1,
//!         user_prompt: "Khai trương quán cà phê: giảm 50% cả tuần".to_owned(),
//!         ..Default::default()
//!     })
//!     .await?
//!     .into_inner();
//!
//! let mut events = client.watch_job(created.jobs[0].id, 0);
//! while let Some(event) = events.try_next().await? {
//!     let job = event.job.unwrap_or_default();
//!     println!("{:?} {:.0}%", job.status(), job.progress * 100.0);
//!     for media in event.media {
//!         let mut file = tokio::fs::File::create(format!("poster.{}", media.format)).await?;
//!         client.download(media.id).await?.write_to(&mut file).await?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What went wrong is a [`tonic::Status`]; [`reason`] and [`violations`] read what the service says in it.

/// The program in the page on Rust, to be compiled with the examples.
#[cfg(doctest)]
#[doc = include_str!("../docs/clients/rust.md")]
pub struct DocumentedExample;

mod bearer;
mod builder;
mod channel;
mod download;
mod idempotency;
mod refusal;
mod repeatable;
mod resume;
mod retry;
mod upload;
mod watch;

use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

pub use crate::rpc::proto;
pub use builder::{Builder, ConnectError};
pub use channel::RetryingChannel;
pub use download::{Download, DownloadError};
pub use refusal::{Violation, reason, retry_delay, violations};
pub use retry::RetryPolicy;
pub use upload::UploadError;
pub use watch::{JobEvents, RequestEvents, RequestsEvents, UserEvents, has_ended};

use proto::{
    admin_service_client::AdminServiceClient, credit_service_client::CreditServiceClient,
    feature_service_client::FeatureServiceClient, job_service_client::JobServiceClient,
    media_service_client::MediaServiceClient, request_service_client::RequestServiceClient,
    template_service_client::TemplateServiceClient,
};

type Plain = InterceptedService<Channel, bearer::Bearer>;

/// The clients of all services over one connection. Clones are cheap and share it.
///
/// The stubs repeat a call that the server was unavailable for, or whose connection broke, as the [`RetryPolicy`] says, if
/// it does no harm to do it twice: reads, cancelling, deleting, undeleting, and CreateRequest, which gets an idempotency
/// key when it has none. All other calls are sent once.
#[derive(Clone, Debug)]
pub struct Client {
    /// Sends every call once; for streams, which are resumed instead of repeated.
    plain: Plain,
    retrying: RetryingChannel,
    policy: RetryPolicy,
    max_message_bytes: usize,
}

impl Client {
    /// Connects to the server at `url`, such as `http://127.0.0.1:50051`, with the defaults of the [`Builder`].
    ///
    /// # Errors
    /// When the URL is not an http one, or nothing answers there.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::builder(url).connect().await
    }

    /// A client of the server at `url` with settings of its own.
    pub fn builder(url: &str) -> Builder {
        Builder::new(url)
    }

    /// The client of FeatureService.
    pub fn features(&self) -> FeatureServiceClient<RetryingChannel> {
        FeatureServiceClient::new(self.retrying.clone())
            .max_decoding_message_size(self.max_message_bytes)
    }

    /// The client of TemplateService.
    pub fn templates(&self) -> TemplateServiceClient<RetryingChannel> {
        TemplateServiceClient::new(self.retrying.clone())
            .max_decoding_message_size(self.max_message_bytes)
    }

    /// The client of RequestService. To watch a request to its end, see [`Client::watch_request`].
    pub fn requests(&self) -> RequestServiceClient<RetryingChannel> {
        RequestServiceClient::new(self.retrying.clone())
            .max_decoding_message_size(self.max_message_bytes)
    }

    /// The client of JobService. To watch a job to its end, see [`Client::watch_job`].
    pub fn jobs(&self) -> JobServiceClient<RetryingChannel> {
        JobServiceClient::new(self.retrying.clone())
            .max_decoding_message_size(self.max_message_bytes)
    }

    /// The client of MediaService. To download a whole file, see [`Client::download`], to give one [`Client::upload`].
    pub fn media(&self) -> MediaServiceClient<RetryingChannel> {
        MediaServiceClient::new(self.retrying.clone())
            .max_decoding_message_size(self.max_message_bytes)
    }

    /// The client of CreditService.
    pub fn credits(&self) -> CreditServiceClient<RetryingChannel> {
        CreditServiceClient::new(self.retrying.clone())
            .max_decoding_message_size(self.max_message_bytes)
    }

    /// The client of AdminService, for admins.
    pub fn admin(&self) -> AdminServiceClient<RetryingChannel> {
        AdminServiceClient::new(self.retrying.clone())
            .max_decoding_message_size(self.max_message_bytes)
    }
}
