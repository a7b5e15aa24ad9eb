//! What operators watch of a process, in the text format of OpenMetrics, see docs/operations.md#metrics.
//!
//! No label holds what users choose: an rpc is one of the contract's, a provider one of the configuration's.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use tokio::{sync::Mutex, time::Instant};

use crate::domain::job::Band;

/// Upper ends in seconds of what calls and claims take.
const SHORT: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0];
/// The same of what jobs take.
const LONG: [f64; 10] = [
    0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0,
];

/// Upper ends of how many are written together.
const COUNTS: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

type Times<L> = Family<L, Histogram, fn() -> Histogram>;

/// The type of what [`Metrics::text`] tells.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is counted of a process. Clones share it.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

struct Inner {
    registry: Registry,
    calls: Times<CallLabels>,
    claimed: Family<WorkLabels, Counter>,
    waits: Times<WorkLabels>,
    attempts: Family<EndLabels, Counter>,
    phases: Times<PhaseLabels>,
    rescued: Counter,
    batches: Times<BatchLabels>,
    watches: Gauge,
    queued: Family<QueueLabels, Gauge>,
    oldest: Family<BandLabels, Gauge>,
    connections: Family<ConnectionLabels, Gauge>,
    spans: Family<SpanLabels, Counter>,
    next_count: Mutex<Option<Instant>>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    rpc: String,
    code: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WorkLabels {
    provider: String,
    media_type: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EndLabels {
    provider: String,
    media_type: &'static str,
    end: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PhaseLabels {
    provider: String,
    phase: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BandLabels {
    provider: String,
    priority: i32,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct QueueLabels {
    provider: String,
    priority: i32,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BatchLabels {
    of: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ConnectionLabels {
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SpanLabels {
    state: &'static str,
}

/// What an attempt is about.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// The provider's name.
    pub provider: &'a str,
    /// What is to be made, such as `image`.
    pub media_type: &'static str,
}

impl Work<'_> {
    fn labels(self) -> WorkLabels {
        WorkLabels {
            provider: self.provider.to_owned(),
            media_type: self.media_type,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("atelier"),
            calls: Family::new_with_constructor(|| Histogram::new(SHORT)),
            claimed: Family::default(),
            waits: Family::new_with_constructor(|| Histogram::new(LONG)),
            attempts: Family::default(),
            phases: Family::new_with_constructor(|| Histogram::new(LONG)),
            rescued: Counter::default(),
            batches: Family::new_with_constructor(|| Histogram::new(COUNTS)),
            watches: Gauge::default(),
            queued: Family::default(),
            oldest: Family::default(),
            connections: Family::default(),
            spans: Family::default(),
            next_count: Mutex::default(),
        };
        inner.register();
        Self(Arc::new(inner))
    }
}

impl Inner {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register_with_unit(
            "call_duration",
            "Time until a call was answered, or its stream began",
            Unit::Seconds,
            self.calls.clone(),
        );
        registry.register(
            "jobs_claimed",
            "Jobs that this process has taken from the queue",
            self.claimed.clone(),
        );
        registry.register_with_unit(
            "job_wait",
            "Time from when a job could begin to its claim",
            Unit::Seconds,
            self.waits.clone(),
        );
        registry.register(
            "attempts",
            "Attempts of this process that have ended",
            self.attempts.clone(),
        );
        registry.register_with_unit(
            "attempt_phase",
            "Time that an attempt takes to generate, to store the outputs, and to record the end",
            Unit::Seconds,
            self.phases.clone(),
        );
        registry.register(
            "jobs_rescued",
            "Jobs that this process has taken from workers whose leases had run out",
            self.rescued.clone(),
        );
        registry.register(
            "batch_size",
            "Requests, completions and other ends of attempts that were written in one transaction",
            self.batches.clone(),
        );
        registry.register(
            "watches",
            "Streams that watch jobs, requests and users",
            self.watches.clone(),
        );
        registry.register(
            "queue_jobs",
            "Jobs that wait in the database, of all processes",
            self.queued.clone(),
        );
        registry.register_with_unit(
            "queue_oldest",
            "How long the job has waited that could have begun first",
            Unit::Seconds,
            self.oldest.clone(),
        );
        registry.register(
            "database_connections",
            "Connections to a PostgreSQL server, and who waits for one",
            self.connections.clone(),
        );
        registry.register(
            "spans",
            "Spans that the collector has taken, and that it has not",
            self.spans.clone(),
        );
    }
}

impl Metrics {
    /// All of it as a document of [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }

    /// A call has ended, and took so long until it was answered, or its stream began. `rpc` is one of the contract's, `code` one of
    /// gRPC's or HTTP's.
    pub fn called(&self, rpc: &str, code: String, took: Duration) {
        let rpc = rpc.to_owned();
        let calls = self.0.calls.get_or_create_owned(&CallLabels { rpc, code });
        calls.observe(took.as_secs_f64());
    }

    /// A job was taken from the queue, in which it could have begun before.
    pub fn claimed(&self, work: Work<'_>, waited: Duration) {
        let labels = work.labels();
        self.0.claimed.get_or_create_owned(&labels).inc();
        let waits = self.0.waits.get_or_create_owned(&labels);
        waits.observe(waited.as_secs_f64());
    }

    /// An attempt has ended in this way.
    pub fn ended(&self, work: Work<'_>, end: &'static str) {
        let WorkLabels {
            provider,
            media_type,
        } = work.labels();
        let labels = EndLabels {
            provider,
            media_type,
            end,
        };
        self.0.attempts.get_or_create_owned(&labels).inc();
    }

    /// A part of an attempt has taken so long.
    pub fn passed(&self, provider: &str, phase: &'static str, took: Duration) {
        let provider = provider.to_owned();
        let labels = PhaseLabels { provider, phase };
        let phases = self.0.phases.get_or_create_owned(&labels);
        phases.observe(took.as_secs_f64());
    }

    /// Jobs were taken from workers that have gone silent.
    pub fn rescued(&self, jobs: usize) {
        self.0
            .rescued
            .inc_by(u64::try_from(jobs).unwrap_or_default());
    }

    /// So many were written together, or are about to be.
    pub fn gathered(&self, of: &'static str, count: usize) {
        let batches = self.0.batches.get_or_create_owned(&BatchLabels { of });
        batches.observe(count as f64);
    }

    /// A stream has begun that watches something, and goes on until this is dropped.
    pub fn watching(&self) -> Watching {
        self.0.watches.inc();
        Watching(self.0.watches.clone())
    }

    /// What waits, in place of what was told before.
    pub fn tell_queue(&self, bands: Vec<Band>) {
        let (queued, oldest) = (&self.0.queued, &self.0.oldest);
        queued.clear();
        oldest.clear();
        for band in bands {
            for (state, jobs) in [("ready", band.ready), ("paused", band.paused)] {
                let labels = QueueLabels {
                    provider: band.provider.clone(),
                    priority: band.priority,
                    state,
                };
                queued.get_or_create_owned(&labels).set(jobs);
            }
            let labels = BandLabels {
                provider: band.provider,
                priority: band.priority,
            };
            let seconds = i64::try_from(band.oldest.as_secs()).unwrap_or(i64::MAX);
            oldest.get_or_create_owned(&labels).set(seconds);
        }
    }

    /// When what waits may be counted again: all who ask share it.
    pub fn next_count(&self) -> &Mutex<Option<Instant>> {
        &self.0.next_count
    }

    /// So many connections to the database are in this state.
    pub fn tell_connections(&self, state: &'static str, count: usize) {
        let labels = ConnectionLabels { state };
        let connections = self.0.connections.get_or_create_owned(&labels);
        connections.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// So many spans have come into this state: `sent` or `lost`.
    pub fn spans(&self, state: &'static str, count: usize) {
        let spans = self.0.spans.get_or_create_owned(&SpanLabels { state });
        spans.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

/// A stream that watches something.
#[derive(Debug)]
pub struct Watching(Gauge);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.dec();
    }
}
