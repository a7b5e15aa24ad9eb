//! What calls and jobs do, as a collector gets it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use atelier::client::proto::{
    CreateRequestRequest, FeatureProperties, GetJobRequest, JobStatus, WatchJobRequest,
    WatchJobResponse,
};
use atelier::server::Role;
use futures::future::join_all;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
use tokio::net::TcpListener;
use tonic::Request;

use crate::api::grpc_web::{self, BINARY, FrameStream, TEXT};
use crate::support::client::{Client, scripted_feature, scripted_request};
use crate::support::collector::{Collector, Kept, Traced};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::process::Process;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

const CREATE: &str = "generation.v1.RequestService/CreateRequest";
const WATCH: &str = "generation.v1.JobService/WatchJob";
const RUN: &str = "run scripted";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
/// Longer than a process may wait for a collector when it ends, and not as long as one may take to answer.
const STOPPING: Duration = Duration::from_secs(9);

on_both_databases! {
    async fn one_trace_leads_from_the_caller_to_what_another_server_runs(db: TestDatabase) {
        let collector = Collector::start().await;
        let api = TestServer::start_as(Role::Api, &db, |config| collector.told_by(config)).await;
        let _worker = api.beside(Role::Worker, &db, |config| {
            collector.told_by(config);
            config.executor.worker_id = Some("ada".to_owned());
        }).await;
        let mut feature = scripted_feature("scripted");
        feature.properties = Some(FeatureProperties { omit_thumbnails: false, ..feature.properties.unwrap() });
        let feature = api.add_feature(feature).await.id;
        let script = Script::new(&["transient", "succeed"]);
        let asked = scripted_request(feature, &script);
        let (request, job) = create(&api, asked, "01").await;
        assert_eq!(api.ended(job).await.job.status(), JobStatus::Completed);

        let kept = collector.until(|kept| kept.named(RUN).len() == 2 && kept.named(CREATE).len() == 1).await;
        let call = kept.named(CREATE)[0];
        let [trace, call_id, caller] = call.ids();
        assert_eq!((trace.as_str(), caller.as_str()), (TRACE, CALLER));
        assert_eq!(call.span.kind(), SpanKind::Server);
        for (key, text) in [("rpc.system", "grpc"), ("rpc.service", "generation.v1.RequestService"), ("rpc.method", "CreateRequest")] {
            assert_eq!(call.text(key), text);
        }
        for (key, number) in [("rpc.grpc.status_code", 0), ("atelier.request.id", request), ("atelier.job.id", job)] {
            assert_eq!(call.number(key), number, "{key}");
        }

        let mut runs = kept.named(RUN);
        runs.sort_by_key(|run| run.number("atelier.job.attempt"));
        let [first, second] = runs[..] else { panic!("{runs:?}") };
        for (run, attempt, end, status) in [
            (first, 1, "retried", StatusCode::Error),
            (second, 2, "completed", StatusCode::Unset),
        ] {
            assert_eq!(run.ids()[0], TRACE);
            assert_eq!(run.ids()[2], call_id, "an attempt is a child of the call that made the job");
            assert_eq!(run.span.kind(), SpanKind::Consumer);
            assert_eq!(run.number("atelier.job.attempt"), attempt);
            assert_eq!(run.text("atelier.attempt.end"), end);
            assert_eq!(run.span.status.as_ref().unwrap().code(), status);
            assert_eq!(run.text("atelier.worker"), "ada");
            let Value::DoubleValue(wait) = run.get("atelier.queue.wait") else { panic!("{run:?}") };
            assert!(*wait >= 0.0);
            assert_ne!(run.resource["service.instance.id"], call.resource["service.instance.id"]);
        }
        assert_eq!(phases(&kept, first), ["generate", "record"]);
        assert_eq!(phases(&kept, second), ["generate", "store", "record"]);
        let stored = children(&kept, second).into_iter().find(|it| it.span.name == "store").unwrap();
        let derived = children(&kept, stored);
        assert!(!derived.is_empty() && derived.iter().all(|it| it.span.name == "derive" && it.text("atelier.media.role") == "thumbnail"), "{derived:?}");
        for part in &kept.spans {
            assert!(part.span.start_time_unix_nano <= part.span.end_time_unix_nano);
        }
    }

    async fn a_trace_begins_here_where_the_caller_has_none(db: TestDatabase) {
        let collector = Collector::start().await;
        let server = TestServer::start_with(&db, |config| collector.told_by(config)).await;
        let script = Script::new(&["succeed"]);
        let job = server.create_scripted(&script).await;
        server.completed(job.id).await;
        let kept = collector.until(|kept| kept.named(RUN).len() == 1 && kept.named(CREATE).len() == 1).await;
        let [trace, call_id, caller] = kept.named(CREATE)[0].ids();
        let [of_run, _, parent] = kept.named(RUN)[0].ids();
        assert_eq!((caller.as_str(), of_run, parent), ("", trace, call_id));
    }

    async fn the_end_of_a_call_is_told_also_of_refusals_and_streams(db: TestDatabase) {
        let collector = Collector::start().await;
        let server = TestServer::start_with(&db, |config| collector.told_by(config)).await;
        let feature = server.scripted_feature().await;
        let quick = Script::new(&["succeed"]);
        let job = server.create(scripted_request(feature, &quick)).await.1.remove(0);
        server.completed(job.id).await;
        let unknown = GetJobRequest { id: job.id + 1, ..Default::default() };
        server.jobs().get_job(unknown).await.unwrap_err();
        let script = Script::new(&["succeed"]).gated();
        let waiting = server.create(scripted_request(feature, &script)).await.1.remove(0);
        let asked = WatchJobRequest { id: waiting.id, ..Default::default() };
        let gone = server.jobs().watch_job(asked).await.unwrap();
        drop(gone);
        let kept = collector.until(|kept| kept.named(WATCH).len() == 2).await;
        assert_eq!(codes(&kept, WATCH), [0, 1], "one was watched to its end, and one was left");
        let refused = kept.named("generation.v1.JobService/GetJob").into_iter();
        let refused: Vec<_> = refused.filter(|it| it.number("rpc.grpc.status_code") == 5).collect();
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].span.status.as_ref().unwrap().code(), StatusCode::Unset, "no fault of the server's");
        script.open_gate();
    }

    async fn the_end_of_a_browser_s_call_is_told_as_the_browser_has_it(db: TestDatabase) {
        let collector = Collector::start().await;
        let server = TestServer::start_with(&db, |config| {
            collector.told_by(config);
            config.metrics.listen = Some("127.0.0.1:0".parse().unwrap());
        }).await;
        let feature = server.scripted_feature().await;
        let quick = Script::new(&["succeed"]);
        let done = server.create(scripted_request(feature, &quick)).await.1.remove(0).id;
        server.completed(done).await;
        let script = Script::new(&["succeed"]).gated();
        let waiting = server.create(scripted_request(feature, &script)).await.1.remove(0).id;
        // Long enough for a busy machine to send what there is.
        let late: &[(&str, &str)] = &[("grpc-timeout", "2S")];
        let served = &server;
        let ends = [BINARY, TEXT].map(|format| async move {
            drop(watched(served, waiting, format, &[]).await);
            for (id, headers, code) in [(done, &[][..], "0"), (waiting, late, "4"), (done + 99, &[], "5")] {
                let mut watch = watched(served, id, format, headers).await;
                assert_eq!(end_of(&mut watch).await, code, "{format}");
            }
        });
        join_all(ends).await;
        let kept = collector.until(|kept| kept.named(WATCH).len() > 8).await;
        let ended = [0, 0, 0, 1, 1, 4, 4, 5, 5];
        assert_eq!(codes(&kept, WATCH), ended, "the test has watched one itself");
        let late: Vec<_> = kept.named(WATCH).into_iter().filter(|it| it.number("rpc.grpc.status_code") == 4).collect();
        assert!(late.iter().all(|it| it.span.status.as_ref().unwrap().code() == StatusCode::Error), "{late:?}");
        let told = metrics(&server).await;
        for (code, count) in [("OK", 3), ("CANCELLED", 2), ("DEADLINE_EXCEEDED", 2), ("NOT_FOUND", 2)] {
            let line = format!("call_duration_seconds_count{{rpc=\"WatchJob\",code=\"{code}\"}} {count}\n");
            assert!(told.contains(&line), "{line}{told}");
        }

        let left = [BINARY, TEXT].map(|format| watched(&server, waiting, format, &[]));
        let mut left = join_all(left).await;
        let stopped = server.shutdown();
        let [binary, text] = &mut left[..] else { unreachable!() };
        let (_, binary, text) = futures::join!(stopped, end_of(binary), end_of(text));
        assert_eq!([&*binary, &*text], ["14", "14"]);
        let kept = collector.until(|kept| kept.named(WATCH).len() == ended.len() + 2).await;
        assert_eq!(codes(&kept, WATCH)[ended.len()..], [14, 14]);
    }

    async fn of_traces_that_begin_here_some_are_sent_and_each_whole(db: TestDatabase) {
        let collector = Collector::start().await;
        let api = TestServer::start_as(Role::Api, &db, |config| {
            collector.told_by(config);
            config.traces.one_in = 2;
        }).await;
        // Which traces are sent is decided where they begin.
        let _worker = api.beside(Role::Worker, &db, |config| {
            collector.told_by(config);
            config.traces.one_in = 1_000_000;
        }).await;
        let feature = api.scripted_feature().await;
        let script = Script::new(&["succeed"]);
        let asked = || scripted_request(feature, &script);
        let (mut sent, mut unsent) = (BTreeSet::new(), BTreeSet::new());
        while sent.is_empty() || unsent.is_empty() {
            let job = api.create(asked()).await.1.remove(0).id;
            api.completed(job).await;
            let place = traceparent(&db, job).await;
            let parts: Vec<_> = place.split('-').collect();
            let kind = match parts[3] {
                "01" => &mut sent,
                flags => { assert_eq!(flags, "00"); &mut unsent }
            };
            kind.insert(parts[1].to_owned());
        }
        // A caller's own flag decides, whatever the id says: this one would be sent, and the next not.
        let (_, job) = create_within(&api, asked(), (&format!("{:032x}", 1), "00")).await;
        api.completed(job).await;
        assert_eq!(&traceparent(&db, job).await[53..], "00");
        let (_, job) = create_within(&api, asked(), (&"f".repeat(32), "01")).await;
        api.completed(job).await;
        assert_eq!(&traceparent(&db, job).await[53..], "01");
        sent.insert("f".repeat(32));
        // Spans come in the order in which they end, so nothing of an earlier one comes later.
        let parts = [CREATE, RUN, "generate", "store", "record"];
        let of = |kept: &Kept, name: &str| {
            let traces: Vec<_> = kept.named(name).iter().map(|it| it.ids()[0].clone()).collect();
            traces
        };
        let last = "f".repeat(32);
        let kept = collector.until(|kept| parts.iter().all(|part| of(kept, part).contains(&last))).await;
        for part in parts {
            let mut found = of(&kept, part);
            found.sort_unstable();
            assert!(found.iter().eq(&sent), "{part}: {found:?}, {sent:?}, but not {unsent:?}");
        }
    }

    async fn what_its_caller_does_not_want_traced_is_not_sent(db: TestDatabase) {
        let collector = Collector::start().await;
        let server = TestServer::start_with(&db, |config| collector.told_by(config)).await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&["succeed"]);
        let (_, unwanted) = create(&server, scripted_request(feature, &script), "00").await;
        server.completed(unwanted).await;
        let job = server.create(scripted_request(feature, &script)).await.1.remove(0);
        server.completed(job.id).await;
        let kept = collector.until(|kept| !kept.named(RUN).is_empty()).await;
        assert!(kept.spans.iter().all(|it| it.ids()[0] != TRACE), "{:?}", kept.spans);
        assert_eq!(kept.named(RUN)[0].number("atelier.job.id"), job.id);
    }

    async fn a_collector_that_is_away_costs_spans_and_nothing_else(db: TestDatabase) {
        // This one is connected with, and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let away = nobody.local_addr().unwrap();
        drop(nobody);
        let script = Script::new(&["succeed"]);
        for address in [silent.local_addr().unwrap(), away] {
            let server = TestServer::start_with(&db, |config| {
                config.traces.endpoint = Some(format!("http://{address}").parse().unwrap());
                config.metrics.listen = Some("127.0.0.1:0".parse().unwrap());
            }).await;
            let feature = server.add_feature(scripted_feature(&format!("of_{}", address.port()))).await.id;
            let job = server.create(scripted_request(feature, &script)).await.1.remove(0);
            server.completed(job.id).await;
            if address == away {
                until_lost(&server).await;
            }
            let began = Instant::now();
            server.shutdown().await;
            assert!(began.elapsed() < STOPPING, "{:?}", began.elapsed());
        }
    }

    async fn the_last_spans_are_sent_before_a_process_ends_and_none_tells_what_is_nobody_s_business(db: TestDatabase) {
        let collector = Collector::start().await;
        let media = tempfile::tempdir().unwrap();
        let endpoint = format!("traces.endpoint={}", collector.url());
        let settings = [&*endpoint, "traces.headers=authorization=Bearer canary-of-the-collector", "traces.service=staging", "log.filter=trace"];
        let mut process = Process::serve(&db, media.path(), &settings).await;
        let feature = process.scripted_feature().await;
        let script = Script::new(&["fail"]);
        let mut asked = scripted_request(feature, &script);
        asked.user_id = 918_273_645;
        asked.user_prompt = "canary prompt".to_owned();
        let (_, job) = create(&process, asked, "01").await;
        assert_eq!(process.ended(job).await.job.status(), JobStatus::Failed);
        process.signal("TERM");
        assert!(process.exit().await.success());

        let kept = collector.until(|kept| !kept.named(RUN).is_empty()).await;
        assert_eq!(kept.authorization.as_deref(), Some("Bearer canary-of-the-collector"));
        let run = kept.named(RUN)[0];
        assert_eq!(run.text("atelier.attempt.end"), "failed");
        assert_eq!(run.resource["service.name"], Value::StringValue("staging".to_owned()));
        let sent = String::from_utf8_lossy(&kept.bytes).into_owned();
        assert!(sent.contains("atelier.job.id") && !sent.contains("canary") && !sent.contains("918273645"));
        for traced in &kept.spans {
            assert!(traced.attributes.values().all(|value| *value != Value::IntValue(918_273_645)), "{traced:?}");
        }
        let log = process.log();
        assert!(!log.contains("canary-of-the-collector"));
    }
}

/// The codes with which the calls of an rpc have ended, in order.
fn codes(kept: &Kept, rpc: &str) -> Vec<i64> {
    let calls = kept.named(rpc).into_iter();
    let mut codes: Vec<_> = calls.map(|it| it.number("rpc.grpc.status_code")).collect();
    codes.sort_unstable();
    codes
}

/// How a watch ends for a browser.
async fn end_of(watch: &mut FrameStream) -> String {
    // One that is refused ends with its head.
    if watch.header("grpc-status").is_none() {
        while watch.message::<WatchJobResponse>().await.is_some() {}
    }
    watch.status().await
}

async fn watched(
    server: &TestServer,
    id: i64,
    format: &str,
    headers: &[(&str, &str)],
) -> FrameStream {
    let asked = WatchJobRequest {
        id,
        ..Default::default()
    };
    let method = "JobService/WatchJob";
    grpc_web::call_with(&server.url(), method, format, headers, &asked).await
}

/// The place of the call that made a job.
async fn traceparent(db: &TestDatabase, job: i64) -> String {
    let asked = format!("SELECT traceparent FROM generation_jobs WHERE id = {job}");
    db.texts(&asked).await.remove(0)
}

/// Asks within the caller's trace; the ids of the request and its job.
async fn create(server: &Client, asked: CreateRequestRequest, flags: &str) -> (i64, i64) {
    create_within(server, asked, (TRACE, flags)).await
}

async fn create_within(
    server: &Client,
    asked: CreateRequestRequest,
    (trace, flags): (&str, &str),
) -> (i64, i64) {
    let mut asked = Request::new(asked);
    let traceparent = format!("00-{trace}-{CALLER}-{flags}");
    let metadata = asked.metadata_mut();
    metadata.insert("traceparent", traceparent.parse().unwrap());
    let created = within(server.requests().create_request(asked)).await;
    let created = created.unwrap().into_inner();
    (created.request.unwrap().id, created.jobs[0].id)
}

/// Waits until spans are told as lost.
async fn until_lost(server: &TestServer) {
    within(async {
        while !metrics(server)
            .await
            .contains("atelier_spans_total{state=\"lost\"}")
        {}
    })
    .await;
}

async fn metrics(server: &TestServer) -> String {
    let url = format!("{}/metrics", server.metrics_url());
    let told = browser().get(&url).send().await;
    told.unwrap().text().await.unwrap()
}

fn children<'a>(kept: &'a Kept, parent: &Traced) -> Vec<&'a Traced> {
    let [_, id, _] = parent.ids();
    let spans = kept.spans.iter();
    let mut spans: Vec<_> = spans.filter(|it| it.ids()[2] == id).collect();
    spans.sort_by_key(|it| it.span.start_time_unix_nano);
    spans
}

fn phases(kept: &Kept, run: &Traced) -> Vec<String> {
    let parts = children(kept, run);
    parts.iter().map(|it| it.span.name.clone()).collect()
}
