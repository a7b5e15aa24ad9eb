//! Spans go to the collector from a bounded queue, in the background: what does not fit, or is not taken, is lost.

use std::time::Duration;

use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::{
    tonic::collector::trace::v1::{
        ExportTraceServiceRequest, trace_service_client::TraceServiceClient,
    },
    transform::{
        common::tonic::ResourceAttributesWithSchema,
        trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue},
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use url::Url;

use crate::{domain::printable, metrics::Metrics};

/// Spans that wait at most.
const QUEUE: usize = 8_192;
/// Most spans of one message.
const BATCH: usize = 512;
/// How long the first of a batch waits for others.
const GATHERING: Duration = Duration::from_secs(1);
/// How long the collector may take to answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// Most characters of what the collector says that are logged.
const MAX_WORDS: usize = 200;

/// To whom spans are sent, and which.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// A collector that takes OTLP over gRPC.
    pub endpoint: Url,
    /// What it is shown: `name=value`, several separated by commas.
    pub headers: Option<SecretString>,
    /// Of how many traces that begin here one is sent.
    pub one_in: u32,
    /// What this service is called.
    pub service: String,
    /// The machine's name.
    pub host: String,
    /// What makes this process itself among all of its name.
    pub instance: String,
}

/// Why spans cannot be sent as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The URL is none that can be called.
    #[error("traces.endpoint is not a URL such as http://127.0.0.1:4317")]
    Endpoint(#[source] tonic::transport::Error),
    /// The headers cannot be sent.
    #[error(
        "traces.headers must be name=value, several separated by commas, of characters that headers take"
    )]
    Headers,
}

/// Where spans go when they end.
#[derive(Debug)]
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    metrics: Metrics,
}

/// Starts sending; until `stop`, and then what has ended before.
pub(super) fn start(
    settings: &TraceSettings,
    metrics: &Metrics,
    stop: CancellationToken,
) -> Result<(Queue, AbortOnDropHandle<()>), TracesError> {
    let endpoint = endpoint(&settings.endpoint).map_err(TracesError::Endpoint)?;
    let collector = Collector {
        client: TraceServiceClient::new(endpoint.connect_lazy()),
        headers: headers(settings.headers.as_ref())?,
        resource: (&resource(settings)).into(),
        metrics: metrics.clone(),
        lost: 0,
    };
    let (spans, ended) = mpsc::channel(QUEUE);
    let task = AbortOnDropHandle::new(tokio::spawn(send_all(ended, collector, stop)));
    let metrics = metrics.clone();
    Ok((Queue { spans, metrics }, task))
}

fn endpoint(url: &Url) -> Result<Endpoint, tonic::transport::Error> {
    let mut endpoint = Endpoint::from_shared(url.to_string())?;
    if url.scheme() == "https" {
        endpoint = endpoint.tls_config(ClientTlsConfig::new().with_native_roots())?;
    }
    Ok(endpoint.connect_timeout(DEADLINE))
}

fn headers(written: Option<&SecretString>) -> Result<MetadataMap, TracesError> {
    let mut headers = MetadataMap::new();
    let written = written.map_or("", ExposeSecret::expose_secret);
    for pair in written.split(',').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(TracesError::Headers)?;
        let name = name.trim().to_ascii_lowercase();
        let name: MetadataKey<Ascii> = name.parse().map_err(|_| TracesError::Headers)?;
        let value = value.trim().parse();
        let mut value: MetadataValue<Ascii> = value.map_err(|_| TracesError::Headers)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Only of the configuration: OpenTelemetry's own variables are not read.
fn resource(settings: &TraceSettings) -> Resource {
    let attributes = [
        ("service.name", settings.service.clone()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", settings.instance.clone()),
        ("host.name", settings.host.clone()),
    ];
    let attributes = attributes.map(|(key, value)| KeyValue::new(key, value));
    Resource::builder_empty()
        .with_attributes(attributes)
        .build()
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    /// Waits for nothing.
    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.spans.try_send(span).is_err() {
            self.metrics.spans("lost", 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    /// The queue is closed by who sends, who waits for it too.
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

async fn send_all(
    mut ended: mpsc::Receiver<SpanData>,
    mut collector: Collector,
    stop: CancellationToken,
) {
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            () = gather(&mut ended, &mut batch) => {}
            () = stop.cancelled() => {
                ended.close();
                ended.recv_many(&mut batch, BATCH).await;
            }
        }
        if batch.is_empty() {
            return;
        }
        collector.send(batch).await;
    }
}

/// Fills the batch as far as spans come in time; with none, if there will be none any more.
async fn gather(ended: &mut mpsc::Receiver<SpanData>, batch: &mut Vec<SpanData>) {
    ended.recv_many(batch, BATCH).await;
    let more = async {
        while batch.len() < BATCH && ended.recv_many(batch, BATCH - batch.len()).await > 0 {}
    };
    let _ = timeout(GATHERING, more).await;
}

struct Collector {
    client: TraceServiceClient<Channel>,
    headers: MetadataMap,
    resource: ResourceAttributesWithSchema,
    metrics: Metrics,
    /// How many it has not taken since it took some last.
    lost: usize,
}

impl Collector {
    async fn send(&mut self, batch: Vec<SpanData>) {
        let count = batch.len();
        match self.export(batch).await {
            Ok(refused) => {
                let refused = usize::try_from(refused).unwrap_or_default().min(count);
                self.metrics.spans("sent", count - refused);
                self.metrics.spans("lost", refused);
                let lost = std::mem::take(&mut self.lost);
                if lost > 0 {
                    tracing::info!(lost, "the collector takes spans again");
                }
            }
            Err(status) => {
                self.metrics.spans("lost", count);
                if self.lost == 0 {
                    let words: String = printable(status.message())
                        .chars()
                        .take(MAX_WORDS)
                        .collect();
                    let code = status.code();
                    tracing::warn!(?code, error = words, "the collector takes no spans");
                }
                self.lost += count;
            }
        }
    }

    /// How many of them it refuses.
    async fn export(&mut self, batch: Vec<SpanData>) -> Result<i64, Status> {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let mut request = Request::new(ExportTraceServiceRequest { resource_spans });
        *request.metadata_mut() = self.headers.clone();
        let answer = timeout(DEADLINE, self.client.export(request)).await;
        let answer = answer.map_err(|_| Status::deadline_exceeded("no answer"))??;
        let refused = answer.into_inner().partial_success;
        Ok(refused.map_or(0, |refused| refused.rejected_spans))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_pairs_that_can_be_sent() {
        let read = |text: &str| headers(Some(&text.into()));
        let two = read("Authorization=Bearer a=b, x-team = one").unwrap();
        assert_eq!(two.get("authorization").unwrap(), "Bearer a=b");
        assert_eq!(two.get("x-team").unwrap(), "one");
        assert!(two.get("authorization").unwrap().is_sensitive());
        assert!(read("").unwrap().is_empty());
        for bad in ["token", "a b=c", "a=b\u{1}c"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
