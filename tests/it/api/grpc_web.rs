//! The API as browsers speak to it: grpc-web over HTTP/1.1, its frames taken apart by hand.

use atelier::rpc::proto::{
    GetJobRequest, JobStatus, ListFeaturesRequest, ListFeaturesResponse, WatchJobEvent,
    WatchJobRequest, WatchJobResponse,
};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prost::Message;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, ORIGIN};
use reqwest::{Response, StatusCode, Version};
use tonic::Status;

use crate::support::client::{scripted_feature, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::http::browser;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::watching::statuses;

pub(crate) const BINARY: &str = "application/grpc-web+proto";
pub(crate) const TEXT: &str = "application/grpc-web-text+proto";
/// Of a frame that holds trailers instead of a message.
const TRAILERS: u8 = 0x80;
/// A flag byte and the length.
const HEADER: usize = 5;

on_both_databases! {
    async fn a_browser_lists_features(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let id = server.scripted_feature().await;
        for format in [BINARY, TEXT] {
            let mut stream = call(&server.url(), "FeatureService/ListFeatures", format, &ListFeaturesRequest::default()).await;
            let listed: ListFeaturesResponse = stream.message().await.unwrap();
            assert_eq!(listed.features.iter().map(|feature| feature.id).collect::<Vec<_>>(), [id]);
            assert_eq!(stream.status().await, "0");
        }
    }

    async fn a_browser_watches_a_job_while_it_runs(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        for format in [BINARY, TEXT] {
            let script = Script::new(&["succeed"]).gated();
            let feature = scripted_feature(&format!("feature_{}", format.len()));
            let feature = server.features().create_feature(feature).await.unwrap().into_inner();
            let asked = scripted_request(feature.feature.unwrap().id, &script);
            let job = server.create(asked).await.1.remove(0);
            let request = WatchJobRequest { id: job.id, after_revision: 0, ..Default::default() };
            let mut stream = call(&server.url(), "JobService/WatchJob", format, &request).await;

            let mut transitions = vec![transition(&mut stream).await.unwrap(), transition(&mut stream).await.unwrap()];
            // These have come while the stream is open and the job cannot end.
            assert_eq!(statuses(&transitions), [JobStatus::Pending, JobStatus::Processing]);
            script.open_gate();
            while let Some(message) = transition(&mut stream).await {
                transitions.push(message);
            }
            assert_eq!(statuses(&transitions[2..]), [JobStatus::Completed]);
            assert_eq!(transitions[2].media.len(), 1);
            assert_eq!(stream.status().await, "0");
        }
    }

    async fn an_error_reaches_a_browser_with_its_details(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let mut stream = call(&server.url(), "JobService/GetJob", BINARY, &GetJobRequest { id: 404, ..Default::default() }).await;
        assert!(stream.frame().await.is_none_or(|(flags, _)| flags == TRAILERS));
        assert_eq!(stream.status().await, "5");
        let trailers = stream.trailers;
        assert!(trailers.iter().any(|(name, _)| name == "grpc-status-details-bin"), "{trailers:?}");
    }

    async fn a_browser_may_call_from_the_origins_that_are_configured(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.server.cors_origins = vec!["https://app.example.com".to_owned()];
        }).await;
        assert_eq!(allowed_origin(&server.url(), "https://app.example.com").await.unwrap(), "https://app.example.com");
        assert_eq!(allowed_origin(&server.url(), "https://evil.example.com").await, None);
    }
}

/// A response that is read frame by frame.
pub(crate) struct FrameStream {
    response: Response,
    /// Base64 that is not decoded yet, of a text stream.
    text: Option<Vec<u8>>,
    bytes: Vec<u8>,
    /// The trailers, from the headers if there were no messages.
    trailers: Vec<(String, String)>,
}

pub(crate) async fn call(
    url: &str,
    method: &str,
    format: &str,
    request: &impl Message,
) -> FrameStream {
    call_with(url, method, format, &[], request).await
}

/// The same with further headers.
pub(crate) async fn call_with(
    url: &str,
    method: &str,
    format: &str,
    headers: &[(&str, &str)],
    request: &impl Message,
) -> FrameStream {
    call_by(&browser(), (url, method), format, headers, request).await
}

/// The same by this client.
pub(crate) async fn call_by(
    browser: &reqwest::Client,
    (url, method): (&str, &str),
    format: &str,
    headers: &[(&str, &str)],
    request: &impl Message,
) -> FrameStream {
    let mut body = framed(request);
    if format == TEXT {
        body = BASE64_STANDARD.encode(body).into_bytes();
    }
    let mut call = browser
        .post(format!("{url}/generation.v1.{method}"))
        .version(Version::HTTP_11)
        .header(CONTENT_TYPE, format)
        .header(ACCEPT, format)
        .header("x-grpc-web", "1");
    for (name, value) in headers {
        call = call.header(*name, *value);
    }
    let response = within(call.body(body).send()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.version(), Version::HTTP_11);
    assert_eq!(response.headers()[CONTENT_TYPE], format);
    FrameStream {
        trailers: of_call(response.headers()),
        response,
        text: (format == TEXT).then(Vec::new),
        bytes: Vec::new(),
    }
}

/// A message as it stands in the body of a call.
pub(crate) fn framed(message: &impl Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], &message].concat()
}

fn of_call(headers: &HeaderMap) -> Vec<(String, String)> {
    let headers = headers.iter();
    headers
        .filter(|(name, _)| name.as_str().starts_with("grpc-"))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect()
}

impl FrameStream {
    /// The next frame's flags and content; `None` at the end of the response.
    async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = self.take(HEADER).await?;
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
        let content = self
            .take(length)
            .await
            .expect("the response ended in a frame");
        if head[0] == TRAILERS {
            let lines = String::from_utf8(content.clone()).unwrap();
            let pairs = lines.lines().filter_map(|line| line.split_once(':'));
            self.trailers = pairs
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
        }
        Some((head[0], content))
    }

    /// The next message; `None` once the trailers have come.
    pub(crate) async fn message<M: Message + Default>(&mut self) -> Option<M> {
        let (flags, content) = self
            .frame()
            .await
            .expect("the response ended without trailers");
        (flags != TRAILERS).then(|| M::decode(content.as_slice()).unwrap())
    }

    /// Reads the rest, which holds no message, and gives the status of the call.
    pub(crate) async fn status(&mut self) -> String {
        while let Some((flags, content)) = self.frame().await {
            assert_eq!(flags, TRAILERS, "{content:?}");
        }
        self.trailer("grpc-status").to_owned()
    }

    /// The same, whole.
    pub(crate) async fn end(&mut self) -> Status {
        self.status().await;
        let trailers = self.trailers.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, value.parse().unwrap())
        });
        Status::from_header_map(&trailers.collect()).unwrap()
    }

    /// A header of the answer.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let value = self.response.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    }

    /// What has come under this name; the status is read first.
    pub(crate) fn trailer(&self, name: &str) -> &str {
        let found = self.trailers.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("no {name}")).1
    }

    async fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.bytes.len() < count {
            let chunk = within(self.response.chunk()).await.unwrap()?;
            self.receive(&chunk);
        }
        Some(self.bytes.drain(..count).collect())
    }

    fn receive(&mut self, chunk: &[u8]) {
        let Some(text) = &mut self.text else {
            self.bytes.extend_from_slice(chunk);
            return;
        };
        // Each message is encoded by itself, so that padding may stand in the middle of the stream.
        text.extend_from_slice(chunk);
        let whole = text.len() / 4 * 4;
        for group in text.drain(..whole).collect::<Vec<_>>().chunks(4) {
            self.bytes.extend(BASE64_STANDARD.decode(group).unwrap());
        }
    }
}

pub(crate) async fn transition(stream: &mut FrameStream) -> Option<WatchJobResponse> {
    loop {
        let message: WatchJobResponse = stream.message().await?;
        if message.event() == WatchJobEvent::Transition {
            return Some(message);
        }
    }
}

/// What the server answers a browser's question whether a page of `origin` may call.
pub(crate) async fn allowed_origin(url: &str, origin: &str) -> Option<String> {
    let url = format!("{url}/generation.v1.JobService/GetJob");
    let preflight = browser()
        .request(reqwest::Method::OPTIONS, url)
        .header(ORIGIN, origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "content-type,x-grpc-web,x-user-agent",
        );
    let answer = within(preflight.send()).await.unwrap();
    let allowed = answer.headers().get("access-control-allow-origin")?;
    Some(allowed.to_str().unwrap().to_owned())
}
