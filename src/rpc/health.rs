use std::{convert::Infallible, time::Duration};

use tokio::time::timeout;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{app::App, executor::Pulse};

use super::proto;

/// How often health is looked at, and how long the database may take to answer.
const INTERVAL: Duration = Duration::from_secs(1);
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);
/// A claim loop that has not turned for so long stands still: it turns at least once a minute.
const STANDSTILL: Duration = Duration::from_secs(90);

/// Why the server cannot serve; `None` if it can.
pub(super) async fn ailment(app: &App, pulse: Option<&Pulse>) -> Option<&'static str> {
    if app.stopping.is_cancelled() {
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

/// Keeps the gRPC health of the server and of each service up to date.
pub async fn watch_health(app: App, health: HealthReporter, pulse: Option<Pulse>) -> Infallible {
    let mut told = None;
    loop {
        let status = match ailment(&app, pulse.as_ref()).await {
            None => ServingStatus::Serving,
            Some(_) => ServingStatus::NotServing,
        };
        // To say the same again would send every watcher a message.
        if told.replace(status) != Some(status) {
            for service in SERVICES {
                health.set_service_status(service, status).await;
            }
        }
        tokio::time::sleep(INTERVAL).await;
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
