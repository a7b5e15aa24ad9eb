//! Health to the outside: over plain HTTP for probes, and over gRPC for clients and balancers.

use std::{collections::BTreeSet, convert::Infallible};

use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tonic::Status;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    app::{Ailment, Health},
    domain::Error,
};

use super::{http, proto};

/// Plain HTTP. What is told was found beforehand, so any number of probes may ask.
pub(super) fn router(health: Health) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/healthz", get(healthz))
        .with_state(health)
}

/// Whether calls may be sent here. With `?strict`, whatever is wrong is a no.
async fn readyz(State(health): State<Health>, RawQuery(query): RawQuery) -> Response {
    let is_strict = query.is_some_and(|query| {
        let mut names = query.split('&').map(|pair| pair.split('=').next());
        names.any(|name| name == Some("strict"))
    });
    report(&health.ailments(), is_strict)
}

async fn healthz(State(health): State<Health>) -> Response {
    report(&health.ailments(), true)
}

/// One word in the first line, and then a line for each ailment: its name and a sentence.
fn report(ailments: &BTreeSet<Ailment>, is_strict: bool) -> Response {
    let is_unavailable = ailments.iter().any(|ailment| ailment.is_fatal());
    let word = match ailments.is_empty() {
        true => "ok",
        false if is_unavailable => "unavailable",
        false => "degraded",
    };
    let mut text = format!("{word}\n");
    for ailment in ailments {
        text += &format!("{}: {}\n", ailment.name(), ailment.sentence());
    }
    let fails = is_unavailable || is_strict && !ailments.is_empty();
    let status = if fails {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
}

/// A path that is not of health.
pub(super) async fn unknown(health: Health, uri: Uri, headers: HeaderMap) -> Response {
    if !health.ailments().contains(&Ailment::Starting) {
        return http::unknown(uri, headers).await;
    }
    match http::grpc_format(&headers) {
        Some(format) => http::refuse_call(Status::from(Error::Starting), format),
        None => http::come_again("the server is starting\n".to_owned()),
    }
}

/// Keeps the gRPC health of the server and of each service up to date, until it is dropped.
pub(super) async fn announce_changes(health: Health, mut announcer: Announcer) -> Infallible {
    let mut changes = health.changes();
    loop {
        let ailments = changes.borrow_and_update().clone();
        announcer.announce(&ailments).await;
        if changes.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Tells changes only: to say the same again would send every watcher a message.
pub(super) struct Announcer {
    reporter: HealthReporter,
    told: [Option<ServingStatus>; SERVICES.len()],
}

impl Announcer {
    pub(super) fn new(reporter: HealthReporter) -> Self {
        let told = [None; SERVICES.len()];
        Self { reporter, told }
    }

    /// Before the first time the services are unknown to health checks.
    pub(super) async fn announce(&mut self, ailments: &BTreeSet<Ailment>) {
        for (service, told) in SERVICES.into_iter().zip(&mut self.told) {
            let status = status_of(service, ailments);
            if told.replace(status) != Some(status) {
                self.reporter.set_service_status(service, status).await;
            }
        }
    }
}

fn status_of(service: &str, ailments: &BTreeSet<Ailment>) -> ServingStatus {
    let ails = |ailment: &Ailment| ailment.is_fatal() || service_needing(*ailment) == Some(service);
    if ailments.iter().any(ails) {
        ServingStatus::NotServing
    } else {
        ServingStatus::Serving
    }
}

/// The service that is of no use without the part that ails; the others read, list and watch on.
fn service_needing(ailment: Ailment) -> Option<&'static str> {
    match ailment {
        Ailment::DatabaseReadOnly | Ailment::DatabaseFull | Ailment::DatabaseUnwritable => {
            Some(proto::request_service_server::SERVICE_NAME)
        }
        Ailment::StorageAway => Some(proto::media_service_server::SERVICE_NAME),
        Ailment::Starting
        | Ailment::ShuttingDown
        | Ailment::DatabaseAway
        | Ailment::SchemaUnknown
        | Ailment::WorkerStuck
        // What is slow may still be done, and is nowhere faster.
        | Ailment::DatabaseBusy
        // The features of others are as they were.
        | Ailment::ProviderAway
        // What costs nothing is taken on, and so may others be.
        | Ailment::BillingAway
        | Ailment::BillingRefuses => None,
    }
}

/// The empty name stands for the server as a whole.
const SERVICES: [&str; 8] = [
    "",
    proto::feature_service_server::SERVICE_NAME,
    proto::template_service_server::SERVICE_NAME,
    proto::request_service_server::SERVICE_NAME,
    proto::job_service_server::SERVICE_NAME,
    proto::media_service_server::SERVICE_NAME,
    proto::credit_service_server::SERVICE_NAME,
    proto::admin_service_server::SERVICE_NAME,
];

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use tonic_health::{
        pb::{HealthCheckRequest, health_server::Health as _},
        server::HealthService,
    };

    use super::*;

    #[tokio::test]
    async fn watchers_hear_of_changes_only() {
        let reporter = HealthReporter::new();
        let service = HealthService::from_health_reporter(reporter.clone());
        let mut announcer = Announcer::new(reporter);
        announcer.announce(&BTreeSet::new()).await;
        let request = HealthCheckRequest {
            service: proto::job_service_server::SERVICE_NAME.to_owned(),
        };
        let watch = service.watch(tonic::Request::new(request)).await;
        let mut watch = watch.unwrap().into_inner();
        assert!(watch.next().now_or_never().is_some());

        announcer
            .announce(&BTreeSet::from([Ailment::StorageAway]))
            .await;
        assert!(watch.next().now_or_never().is_none());
        announcer
            .announce(&BTreeSet::from([Ailment::DatabaseAway]))
            .await;
        assert!(watch.next().now_or_never().is_some());
    }
}
