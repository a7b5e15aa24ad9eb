//! The outer edge of the server: what clients get wrong, and clients that do not let go.

use std::path::Path;
use std::time::Duration;

use atelier::config::Config;
use atelier::entity::media;
use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, DownloadMediaRequest, DownloadMediaResponse,
    FeatureProperties, GenerationInput, GetJobRequest, GetMediaRequest, Job, JobStatus,
    ListJobsRequest, ListRequestsRequest, LoraWeights, MediaType, WatchJobRequest,
    feature_service_client::FeatureServiceClient, job_service_client::JobServiceClient,
    media_service_client::MediaServiceClient, request_service_client::RequestServiceClient,
};
use atelier::server::{Role, Server};
use bytes::Bytes;
use prost_types::{Struct, Value, value::Kind};
use sea_orm::EntityTrait;
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};
use tonic_types::StatusExt;

use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::raw;
use crate::support::script::add_scripted;

const USER: i64 = 7;
const GRACE: Duration = Duration::from_secs(5);
/// Clearly before the end of the grace.
const SOON: Duration = Duration::from_secs(4);
/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// What HTTP/2 lets a server send before the client reads on.
const WINDOW: u32 = 65_535;
/// More than any window or buffer between server and client holds.
const LARGE: usize = 32 * 1024 * 1024;
const GET_JOB: &str = "/generation.v1.JobService/GetJob";

on_both_databases! {
    async fn thousands_of_violations_make_an_answer_that_arrives(db: TestDatabase) {
        let server = Running::start(&db).await;
        let asked = CreateRequestRequest {
            user_media_urls: vec!["no link".to_owned(); 2_000],
            ..request_for(server.feature().await)
        };
        let status = server.requests().create_request(asked).await.unwrap_err();
        assert_bounded(&status, 32, "2001");
        assert!(status.message().ends_with("and 1998 more"), "{status:?}");
    }

    async fn a_name_of_30_kilobytes_makes_an_answer_that_arrives(db: TestDatabase) {
        let server = Running::start(&db).await;
        for name in ["x".repeat(30_000), "ế".repeat(10_000), "\u{1}🎨".repeat(6_000)] {
            let input = GenerationInput {
                lora_weights: Some(LoraWeights { weights: [(name, 9.0)].into() }),
                ..Default::default()
            };
            let asked = CreateRequestRequest { input: Some(input), ..request_for(server.feature().await) };
            let status = server.requests().create_request(asked).await.unwrap_err();
            let violations = violations(&status);
            assert_bounded(&status, violations.len(), &violations.len().to_string());
        }
    }

    async fn errors_of_the_protocol_carry_their_reason(db: TestDatabase) {
        let server = Running::start(&db).await;
        let nowhere = "/generation.v1.JobService/Nothing";
        let no_service = "/generation.v1.NoService/GetJob";
        for (path, message, code, reason) in [
            (GET_JOB, &b"\xff\xff\xff"[..], Code::InvalidArgument, "MALFORMED_MESSAGE"),
            // A text field whose bytes are not UTF-8: `page_token` of ListJobs.
            ("/generation.v1.JobService/ListJobs", b"\x12\x02\xc3\x28", Code::InvalidArgument, "MALFORMED_MESSAGE"),
            (GET_JOB, &[0; 5 * 1024 * 1024], Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
            (nowhere, b"", Code::Unimplemented, "UNKNOWN_METHOD"),
            (no_service, b"", Code::Unimplemented, "UNKNOWN_METHOD"),
        ] {
            let message = tokio_stream::once(Bytes::copy_from_slice(message));
            let status = call(&server, path, Request::new(message)).await;
            assert_reason(&status, code, reason);
        }
    }

    async fn a_call_without_a_message_is_malformed(db: TestDatabase) {
        let server = Running::start(&db).await;
        let status = call(&server, GET_JOB, Request::new(tokio_stream::empty())).await;
        assert_reason(&status, Code::InvalidArgument, "MALFORMED_MESSAGE");
    }

    async fn an_unknown_compression_is_told_with_the_known_ones(db: TestDatabase) {
        let server = Running::start(&db).await;
        let mut request = Request::new(tokio_stream::once(Bytes::new()));
        request.metadata_mut().insert("grpc-encoding", "snappy".parse().unwrap());
        let status = call(&server, GET_JOB, request).await;
        assert_reason(&status, Code::Unimplemented, "UNSUPPORTED_COMPRESSION");
        assert!(status.metadata().contains_key("grpc-accept-encoding"), "{status:?}");
    }

    async fn a_browser_is_told_the_reason_of_a_malformed_message(db: TestDatabase) {
        let server = Running::start(&db).await;
        let answer = browser()
            .post(format!("{}{GET_JOB}", server.url()))
            .header("content-type", "application/grpc-web+proto")
            .header("x-grpc-web", "1")
            .body(&b"\0\0\0\0\x03\xff\xff\xff"[..])
            .send();
        let answer = answer.await.unwrap();
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_reason(&status, Code::InvalidArgument, "MALFORMED_MESSAGE");
    }

    async fn health_answers_for_an_unknown_service_as_its_protocol_says(db: TestDatabase) {
        let server = Running::start(&db).await;
        let request = HealthCheckRequest { service: "nothing".to_owned() };
        let status = HealthClient::new(server.channel.clone()).check(request).await.unwrap_err();
        assert_eq!((status.code(), status.details()), (Code::NotFound, &b""[..]));
    }

    async fn open_streams_end_with_the_server(db: TestDatabase) {
        let server = Running::start(&db).await;
        let media = server.large_media(&db).await;
        let mut download = server.half_read(media).await;
        let mut health = HealthClient::new(server.channel.clone())
            .watch(HealthCheckRequest::default()).await.unwrap().into_inner();
        health.message().await.unwrap().unwrap();
        let mut reflection = server.reflection().await;
        let mut file = server.half_read_file(media).await;

        let stopped = tokio::spawn(server.stop());
        assert_reason(&broken("health", &mut health).await, Code::Unavailable, "SHUTTING_DOWN");
        assert_reason(&broken("reflection", &mut reflection).await, Code::Unavailable, "SHUTTING_DOWN");
        // After these, for until the port closes it goes on, and could be read to its end.
        assert_reason(&broken("download", &mut download).await, Code::Unavailable, "SHUTTING_DOWN");
        assert!(broken_file(&mut file).await.is_some_and(|read| read < LARGE));
        stopped.await.unwrap();
    }

    async fn clients_that_do_not_read_do_not_hold_the_shutdown_up(db: TestDatabase) {
        let server = Running::start(&db).await;
        let media = server.large_media(&db).await;
        let mut download = server.half_read(media).await;
        let _health = HealthClient::new(server.channel.clone())
            .watch(HealthCheckRequest::default()).await.unwrap();
        let _reflection = server.reflection().await;
        let mut file = server.half_read_file(media).await;

        server.stop().await;
        // Its connection was cut: a status could not have come through.
        let status = broken("download", &mut download).await;
        assert!(status.code() != Code::Ok && status.details().is_empty(), "{status:?}");
        assert!(broken_file(&mut file).await.is_some());
    }

    async fn a_page_of_large_requests_ends_early_and_the_next_goes_on(db: TestDatabase) {
        let server = Running::start(&db).await;
        let feature = server.feature().await;
        let mut created = Vec::new();
        for _ in 0..50 {
            let asked = CreateRequestRequest { metadata: Some(filled(60_000)), ..request_for(feature) };
            let answer = server.requests().create_request(asked).await.unwrap().into_inner();
            created.push(answer.request.unwrap().id);
        }
        let (mut listed, mut pages, mut page_token) = (Vec::new(), 0, String::new());
        loop {
            let request = ListRequestsRequest { page_size: 50, page_token, ..Default::default() };
            let page = server.requests().list_requests(request).await.unwrap().into_inner();
            listed.extend(page.requests.iter().map(|request| request.id));
            (pages, page_token) = (pages + 1, page.next_page_token);
            if page_token.is_empty() {
                break;
            }
        }
        created.reverse();
        assert_eq!((pages, listed), (2, created));
    }

    async fn the_input_of_a_job_is_told_where_one_job_is(db: TestDatabase) {
        let server = Running::start(&db).await;
        let answer = server.requests().create_request(request_for(server.feature().await)).await;
        let job = answer.unwrap().into_inner().jobs.remove(0);
        let listed = server.jobs().list_jobs(ListJobsRequest::default()).await.unwrap().into_inner();
        assert_eq!((&job.input, &listed.jobs[0].input), (&None, &None));
        let watched = server.ended(job.id).await;
        let got = server.jobs().get_job(GetJobRequest { id: job.id, ..Default::default() }).await.unwrap().into_inner();
        assert!(watched.input.is_some());
        assert_eq!(got.job.unwrap().input, watched.input);
    }
}

/// A server of this process.
struct Running {
    server: Server,
    channel: Channel,
    folder: TempDir,
}

impl Running {
    async fn start(db: &TestDatabase) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(configuration(db, folder.path()), Role::All).await;
        let server = server.unwrap();
        let endpoint = Endpoint::from_shared(server.url().unwrap()).unwrap();
        let endpoint = endpoint.initial_stream_window_size(WINDOW);
        let channel = endpoint.connect().await.unwrap();
        Self {
            server,
            channel,
            folder,
        }
    }

    fn url(&self) -> String {
        self.server.url().unwrap()
    }

    fn jobs(&self) -> JobServiceClient<Channel> {
        JobServiceClient::new(self.channel.clone())
    }

    fn requests(&self) -> RequestServiceClient<Channel> {
        RequestServiceClient::new(self.channel.clone())
    }

    fn media(&self) -> MediaServiceClient<Channel> {
        MediaServiceClient::new(self.channel.clone())
    }

    /// Adds a feature, unless the server has it, whose jobs succeed at once.
    async fn feature(&self) -> i64 {
        let mut features = FeatureServiceClient::new(self.channel.clone());
        let listed = features.list_features(atelier::rpc::proto::ListFeaturesRequest::default());
        if let Some(feature) = listed.await.unwrap().into_inner().features.first() {
            return feature.id;
        }
        let feature = CreateFeatureRequest {
            name: "scripted".to_owned(),
            category: MediaType::Image.into(),
            properties: Some(FeatureProperties {
                provider: "scripted".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let created = features.create_feature(feature).await.unwrap();
        created.into_inner().feature.unwrap().id
    }

    /// The job once it has completed.
    async fn ended(&self, job_id: i64) -> Job {
        let request = WatchJobRequest {
            id: job_id,
            after_revision: 0,
            ..Default::default()
        };
        let watch = self.jobs().watch_job(request).await.unwrap();
        let mut watch = watch.into_inner();
        let mut job = None;
        while let Some(update) = watch.message().await.unwrap() {
            job = update.job;
        }
        let job = job.unwrap();
        assert_eq!(job.status(), JobStatus::Completed);
        job
    }

    /// A media whose file has [`LARGE`] bytes.
    async fn large_media(&self, db: &TestDatabase) -> i64 {
        let asked = request_for(self.feature().await);
        let answer = self.requests().create_request(asked).await;
        let job = answer.unwrap().into_inner().jobs.remove(0);
        self.ended(job.id).await;
        let media = media::Entity::find().one(&db.connect().await).await;
        let media = media.unwrap().unwrap();
        let file = self.folder.path().join(media.storage_key.unwrap());
        assert!(file.exists(), "{}", file.display());
        std::fs::write(file, vec![7; LARGE]).unwrap();
        media.id
    }

    /// A download of which the first bytes are read.
    async fn half_read(&self, id: i64) -> Streaming<DownloadMediaResponse> {
        let request = DownloadMediaRequest { id, offset: 0 };
        let download = self.media().download_media(request).await;
        let mut download = download.unwrap().into_inner();
        for _ in ["facts", "first chunk"] {
            download.message().await.unwrap().unwrap();
        }
        download
    }

    /// The same over plain HTTP.
    async fn half_read_file(&self, id: i64) -> reqwest::Response {
        let media = self
            .media()
            .get_media(GetMediaRequest {
                id,
                ..Default::default()
            })
            .await;
        let media = media.unwrap().into_inner().media.unwrap();
        let mut file = browser().get(media.download_url).send().await.unwrap();
        assert_eq!(file.status(), 200);
        file.chunk().await.unwrap().unwrap();
        file
    }

    /// A conversation with reflection that the client keeps open.
    async fn reflection(&self) -> Streaming<tonic_reflection::pb::v1::ServerReflectionResponse> {
        let question = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let questions = futures::stream::iter([question]);
        let questions = futures::StreamExt::chain(questions, futures::stream::pending());
        let mut client = ServerReflectionClient::new(self.channel.clone());
        let answers = client.server_reflection_info(questions).await;
        let mut answers = answers.unwrap().into_inner();
        answers.message().await.unwrap().unwrap();
        answers
    }

    /// Stops the server, which must not need the whole grace.
    async fn stop(self) {
        let stopped = tokio::time::timeout(SOON, self.server.shutdown()).await;
        stopped.expect("streams hold the shutdown up");
    }
}

fn configuration(db: &TestDatabase, folder: &Path) -> Config {
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.server.shutdown_grace = GRACE;
    config.server.shutdown_delay = Duration::ZERO;
    config.database.url = db.url.parse().unwrap();
    config.storage.folder = folder.to_owned();
    config.executor.poll_interval = Duration::from_millis(50);
    config.identity.provision_users = Some(true);
    add_scripted(&mut config);
    config.catalogue.install_starter = false;
    config
}

/// A request that keeps all the rules.
fn request_for(feature_id: i64) -> CreateRequestRequest {
    CreateRequestRequest {
        user_id: USER,
        feature_id,
        user_prompt: "Xin chào".to_owned(),
        ..Default::default()
    }
}

/// An object of about so many bytes.
fn filled(bytes: usize) -> Struct {
    let text = Kind::StringValue("x".repeat(bytes));
    let value = Value { kind: Some(text) };
    Struct {
        fields: [("text".to_owned(), value)].into(),
    }
}

/// The end of a stream that does not end well.
async fn broken<T>(what: &str, stream: &mut Streaming<T>) -> Status {
    let broken = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the {what} stream ended well"),
                Err(status) => return status,
            }
        }
    };
    let broken = tokio::time::timeout(DEADLINE, broken).await;
    broken.expect("the stream does not end")
}

/// How much of a file comes before its connection breaks; `None` if it does not.
async fn broken_file(file: &mut reqwest::Response) -> Option<usize> {
    let broken = async {
        let mut read = 0;
        loop {
            match file.chunk().await {
                Ok(Some(chunk)) => read += chunk.len(),
                Ok(None) => return None,
                Err(_) => return Some(read),
            }
        }
    };
    let broken = tokio::time::timeout(DEADLINE, broken).await;
    broken.expect("the file does not end")
}

#[track_caller]
fn assert_reason(status: &Status, code: Code, reason: &str) {
    assert_eq!(status.code(), code, "{status:?}");
    assert!(!status.message().is_empty(), "{status:?}");
    let details = status.get_error_details();
    let info = details.error_info().expect("there is no ErrorInfo");
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        (reason, "generation")
    );
}

fn violations(status: &Status) -> Vec<(String, String)> {
    let details = status.get_error_details();
    let violations = &details.bad_request().unwrap().field_violations;
    let pairs = violations.iter();
    pairs
        .map(|violation| (violation.field.clone(), violation.description.clone()))
        .collect()
}

#[track_caller]
fn assert_bounded(status: &Status, told: usize, count: &str) {
    assert_reason(status, Code::InvalidArgument, "VALIDATION_FAILED");
    assert!(status.message().len() <= 1_000, "{status:?}");
    // A third more in a header, of which there may be 16 KiB.
    assert!(
        status.details().len() <= 8_000,
        "{}",
        status.details().len()
    );
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["violations"], count);
    let violations = violations(status);
    assert_eq!(violations.len(), told);
    for (field, description) in violations {
        assert!(field.chars().count() <= 200, "{field}");
        assert!(description.chars().count() <= 300, "{description}");
    }
}

/// Calls a method with bytes in place of its message, and gets the error.
async fn call(
    server: &Running,
    path: &'static str,
    request: Request<impl tokio_stream::Stream<Item = Bytes> + Send + 'static>,
) -> Status {
    let answer = raw::call(server.channel.clone(), path, request).await;
    answer.expect_err("the call succeeded")
}
