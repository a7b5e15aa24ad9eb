//! A collector of spans, which keeps what it is sent.

use std::collections::BTreeMap;

use atelier::config::Config;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::support::server::within;

/// Listens for as long as it lives.
pub(crate) struct Collector {
    url: String,
    kept: watch::Receiver<Kept>,
    _task: AbortOnDropHandle<()>,
}

/// What has come so far.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    pub(crate) spans: Vec<Traced>,
    /// All messages as they were sent.
    pub(crate) bytes: Vec<u8>,
    /// The last `authorization`.
    pub(crate) authorization: Option<String>,
}

/// A span as a collector has it.
#[derive(Clone, Debug)]
pub(crate) struct Traced {
    pub(crate) span: Span,
    pub(crate) attributes: BTreeMap<String, Value>,
    /// Of the process that sent it.
    pub(crate) resource: BTreeMap<String, Value>,
}

struct Service(watch::Sender<Kept>);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        call: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let shown = call.metadata().get("authorization");
        let shown = shown.and_then(|shown| Some(shown.to_str().ok()?.to_owned()));
        let message = call.into_inner();
        self.0.send_modify(|kept| {
            kept.authorization = shown;
            kept.bytes.extend(message.encode_to_vec());
            kept.spans.extend(spans(message));
        });
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn spans(message: ExportTraceServiceRequest) -> Vec<Traced> {
    let mut spans = Vec::new();
    for of_resource in message.resource_spans {
        let resource = by_key(of_resource.resource.unwrap().attributes);
        for span in of_resource.scope_spans.into_iter().flat_map(|it| it.spans) {
            spans.push(Traced {
                attributes: by_key(span.attributes.clone()),
                resource: resource.clone(),
                span,
            });
        }
    }
    spans
}

fn by_key(attributes: Vec<KeyValue>) -> BTreeMap<String, Value> {
    let pairs = attributes.into_iter();
    let pairs = pairs.map(|pair| (pair.key, pair.value.unwrap().value.unwrap()));
    pairs.collect()
}

impl Traced {
    pub(crate) fn get(&self, key: &str) -> &Value {
        let found = self.attributes.get(key);
        found.unwrap_or_else(|| panic!("no {key} in {:?}", self.attributes))
    }

    pub(crate) fn number(&self, key: &str) -> i64 {
        match self.get(key) {
            Value::IntValue(number) => *number,
            other => panic!("{key} is {other:?}"),
        }
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        match self.get(key) {
            Value::StringValue(text) => text,
            other => panic!("{key} is {other:?}"),
        }
    }

    /// Of the trace, the span and its parent.
    pub(crate) fn ids(&self) -> [String; 3] {
        let span = &self.span;
        [&span.trace_id, &span.span_id, &span.parent_span_id].map(|id| hex(id))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Kept {
    pub(crate) fn named(&self, name: &str) -> Vec<&Traced> {
        let spans = self.spans.iter();
        spans.filter(|it| it.span.name == name).collect()
    }
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, kept) = watch::channel(Kept::default());
        let serving = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(Service(sender)))
            .serve_with_incoming(TcpIncoming::from(listener));
        let task = tokio::spawn(async move { serving.await.unwrap() });
        Self {
            url,
            kept,
            _task: AbortOnDropHandle::new(task),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Has a server send its spans here.
    pub(crate) fn told_by(&self, config: &mut Config) {
        config.traces.endpoint = Some(self.url.parse().unwrap());
    }

    /// What has come, once it is as `enough` says.
    pub(crate) async fn until(&self, enough: impl Fn(&Kept) -> bool) -> Kept {
        let mut kept = self.kept.clone();
        let kept = within(kept.wait_for(|kept| enough(kept))).await;
        kept.unwrap().clone()
    }
}
