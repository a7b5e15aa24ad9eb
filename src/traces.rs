//! What calls and jobs do, as spans for a collector, see docs/operations.md#traces.
//!
//! No attribute holds what users write, who they are, or what a service has said.

mod collector;

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry::{
    Context, InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId, Value,
    trace::{
        SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceState, Tracer,
        TracerProvider,
    },
};
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{domain::Trace, metrics::Metrics};

pub use collector::{TraceSettings, TracesError};

/// How long the last spans may take to be sent when a process ends.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Sends spans, or does nothing. Clones share it.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Sending>>);

struct Sending {
    tracer: SdkTracer,
    stop: CancellationToken,
    task: Mutex<Option<AbortOnDropHandle<()>>>,
}

/// A span under way, which ends when it is dropped; nothing where none is wanted.
#[derive(Default)]
pub struct Traced(Option<(SdkTracer, Context)>);

impl Traces {
    /// Sends to a collector, with which it connects once there is something to send. Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// When it cannot be called as it is configured.
    pub fn new(settings: &TraceSettings, metrics: &Metrics) -> Result<Self, TracesError> {
        let stop = CancellationToken::new();
        let (queue, task) = collector::start(settings, metrics, stop.clone())?;
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            .with_sampler(sampler(settings.one_in))
            .build();
        let scope = InstrumentationScope::builder("atelier")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        Ok(Self(Some(Arc::new(Sending {
            tracer: provider.tracer_with_scope(scope),
            stop,
            task: Mutex::new(Some(task)),
        }))))
    }

    /// Whether spans are sent.
    pub fn are_sent(&self) -> bool {
        self.0.is_some()
    }

    /// A call begins. From here on its place in the caller's trace is `trace`, which the jobs keep that it makes.
    pub fn call(&self, name: String, trace: &mut Trace) -> Traced {
        let traced = self.begin(name, SpanKind::Server, trace.traceparent.as_deref());
        if let Some((_, context)) = &traced.0 {
            trace.traceparent = Some(traceparent(context.span().span_context()));
        }
        traced
    }

    /// An attempt at a job begins, which a call has made that stands at `traceparent`.
    pub fn attempt(&self, name: String, traceparent: Option<&str>) -> Traced {
        self.begin(name, SpanKind::Consumer, traceparent)
    }

    fn begin(&self, name: String, kind: SpanKind, traceparent: Option<&str>) -> Traced {
        let Some(sending) = &self.0 else {
            return Traced::default();
        };
        let parent = traceparent.and_then(remote).unwrap_or_default();
        Traced::within(&sending.tracer, name.into(), kind, &parent)
    }

    /// Sends what has ended so far, for two seconds at most, and nothing any more.
    pub async fn finish(&self) {
        let Some(sending) = &self.0 else {
            return;
        };
        sending.stop.cancel();
        let task = sending.task.lock();
        let task = task.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && timeout(LAST_SPANS, task).await.is_err()
        {
            tracing::warn!("the collector has not taken the last spans in time");
        }
    }
}

impl Traced {
    fn within(
        tracer: &SdkTracer,
        name: Cow<'static, str>,
        kind: SpanKind,
        parent: &Context,
    ) -> Self {
        let builder = SpanBuilder::from_name(name).with_kind(kind);
        let span = tracer.build_with_context(builder, parent);
        Self(Some((tracer.clone(), parent.with_span(span))))
    }

    /// A part of it begins.
    pub fn phase(&self, name: &'static str) -> Self {
        match &self.0 {
            Some((tracer, context)) if context.span().is_recording() => {
                Self::within(tracer, name.into(), SpanKind::Internal, context)
            }
            _ => Self::default(),
        }
    }

    /// Something is known of it. Nothing that users write, or that tells who they are.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        if let Some((_, context)) = &self.0 {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// It has failed, for a reason that operators know.
    pub fn fail(&self, why: impl Into<Cow<'static, str>>) {
        if let Some((_, context)) = &self.0 {
            context.span().set_status(Status::error(why));
        }
    }
}

/// Of traces that begin here one in so many is sent, which their ids decide; of others, whoever began them.
fn sampler(one_in: u32) -> Sampler {
    let ratio = 1.0 / f64::from(one_in.max(1));
    Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)))
}

/// Where a span is that another process has begun; `None` if `traceparent` is none of W3C Trace Context, version 00.
fn remote(traceparent: &str) -> Option<Context> {
    let mut parts = traceparent.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    let parent = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    Some(Context::new().with_remote_span_context(parent))
}

fn traceparent(span: &SpanContext) -> String {
    let (trace, id) = (span.trace_id(), span.span_id());
    format!("00-{trace}-{id}-{:02x}", span.trace_flags())
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::trace::{SamplingDecision, ShouldSample};

    use super::*;

    #[test]
    fn the_id_of_a_trace_decides_whether_it_is_sent_unless_its_caller_has() {
        let is_sent = |one_in, parent: &str, trace: u128| {
            let parent = remote(parent);
            let (name, kind) = ("a call", &SpanKind::Server);
            let sampler = sampler(one_in);
            let sampled =
                sampler.should_sample(parent.as_ref(), trace.into(), name, kind, &[], &[]);
            sampled.decision == SamplingDecision::RecordAndSample
        };
        // Of the numbers that the last 64 bits of an id may be.
        let fourth = u128::from(u64::MAX) / 4;
        for (trace, sent) in [
            (1, true),
            (fourth, true),
            (fourth + 1, false),
            (u128::MAX, false),
        ] {
            assert_eq!(is_sent(4, "", trace), sent, "{trace:x}");
            assert!(is_sent(1, "", trace) && is_sent(0, "", trace));
            for (flags, wanted) in [("01", true), ("00", false)] {
                let caller = format!("00-{trace:032x}-00f067aa0ba902b7-{flags}");
                assert_eq!(is_sent(4, &caller, trace), wanted, "{caller}");
            }
        }
    }

    #[test]
    fn a_place_in_a_trace_is_read_as_it_is_written() {
        for text in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-0000000000000000000000000000000a-000000000000000b-00",
        ] {
            let context = remote(text).unwrap();
            assert_eq!(traceparent(context.span().span_context()), text);
        }
        let more_flags = remote("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff").unwrap();
        assert!(more_flags.span().span_context().is_sampled());
        assert!(remote("00-4bf92f35").is_none());
    }

    #[test]
    fn nothing_is_done_where_nothing_is_sent() {
        let mut trace = Trace::default();
        let traced = Traces::default().call("a call".to_owned(), &mut trace);
        assert_eq!(trace, Trace::default());
        traced.phase("a part").set("a", 1);
        assert!(traced.phase("a part").0.is_none());
    }
}
