use std::{convert::Infallible, time::Duration};

use tokio::time::timeout;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::app::{App, Pulse};

use super::proto;

/// How often health is looked at, and how long the database may take to answer.
const INTERVAL: Duration = Duration::from_secs(1);
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);
/// A claim loop that has not turned for so long stands still: it turns at least once a minute.
const STANDSTILL: Duration = Duration::from_secs(90);

/// Why the server cannot serve; `None` if it can.
pub(super) async fn ailment(app: &App, pulse: Option<&Pulse>) -> Option<&'static str> {
    if app.draining.is_cancelled() {
        return Some("the server is shutting down");
    }
    if !matches!(
        timeout(DATABASE_TIMEOUT, app.store.ping()).await,
        Ok(Ok(()))
    ) {
        return Some("the database does not answer");
    }
    if pulse.is_some_and(|pulse| pulse.age() > STANDSTILL) {
        return Some("the executor stands still");
    }
    None
}

/// Keeps the gRPC health of the server and of each service up to date until the stop, and as it is then.
pub(super) async fn watch_health(
    app: App,
    mut announcer: Announcer,
    pulse: Option<Pulse>,
) -> Infallible {
    loop {
        // Whichever comes first, the next look is due.
        let _ = timeout(INTERVAL, app.draining.cancelled()).await;
        announcer.look(&app, pulse.as_ref()).await;
        if app.draining.is_cancelled() {
            return std::future::pending().await;
        }
    }
}

/// Tells changes only: to say the same again would send every watcher a message.
pub(super) struct Announcer {
    health: HealthReporter,
    told: Option<ServingStatus>,
}

impl Announcer {
    pub(super) fn new(health: HealthReporter) -> Self {
        Self { health, told: None }
    }

    /// Looks once. Before the first look the services are unknown to health checks.
    pub(super) async fn look(&mut self, app: &App, pulse: Option<&Pulse>) {
        let status = match ailment(app, pulse).await {
            None => ServingStatus::Serving,
            Some(_) => ServingStatus::NotServing,
        };
        self.announce(status).await;
    }

    async fn announce(&mut self, status: ServingStatus) {
        if self.told.replace(status) == Some(status) {
            return;
        }
        for service in SERVICES {
            self.health.set_service_status(service, status).await;
        }
    }
}

/// The empty name stands for the server as a whole.
const SERVICES: [&str; 6] = [
    "",
    proto::feature_service_server::SERVICE_NAME,
    proto::template_service_server::SERVICE_NAME,
    proto::request_service_server::SERVICE_NAME,
    proto::job_service_server::SERVICE_NAME,
    proto::media_service_server::SERVICE_NAME,
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::{FutureExt, StreamExt};
    use tonic_health::{
        pb::{HealthCheckRequest, health_server::Health},
        server::HealthService,
    };

    use super::*;

    #[tokio::test]
    async fn watchers_hear_of_changes_only() {
        let reporter = HealthReporter::new();
        let service = HealthService::from_health_reporter(reporter.clone());
        let mut announcer = Announcer::new(reporter);
        announcer.announce(ServingStatus::Serving).await;
        let request = HealthCheckRequest {
            service: proto::job_service_server::SERVICE_NAME.to_owned(),
        };
        let watch = service.watch(tonic::Request::new(request)).await;
        let mut watch = watch.unwrap().into_inner();
        assert!(watch.next().now_or_never().is_some());

        announcer.announce(ServingStatus::Serving).await;
        assert!(watch.next().now_or_never().is_none());
        announcer.announce(ServingStatus::NotServing).await;
        assert!(watch.next().now_or_never().is_some());
    }
}
