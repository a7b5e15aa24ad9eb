//! One request is followed through the log, from the call to the end of its job, and every event is one line.

use std::time::Duration;

use atelier::rpc::proto::{
    CreateRequestRequest, GenerationInput, GetJobRequest, GrantCreditsRequest, JobStatus,
    RetryJobRequest, WatchJobRequest, WatchJobResponse,
};
use serde_json::{Value, json};
use tonic::Request;

use crate::api::grpc_web::{self, BINARY, TEXT};
use crate::support::client::{USER, request_for, scripted_feature, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::process::Process;
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::within;
use crate::support::structure::value;

const LOOK_AGAIN: Duration = Duration::from_millis(10);

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

on_both_databases! {
    async fn a_request_is_followed_by_what_its_caller_knows_it_by(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let process = Process::serve(&db, media.path(), &["executor.worker_id=ada"]).await;
        let feature = process.scripted_feature().await;
        let script = Script::new(&["succeed"]);
        let (id, job_id, answered) = create(&process, scripted_request(feature, &script), "order/7").await;
        assert_eq!(answered, "order/7");
        assert_eq!(process.ended(job_id).await.job.status(), JobStatus::Completed);

        let lines = lines_until_the_end(&process, "order/7").await;
        let messages: Vec<&str> = lines.iter().map(|line| line["fields"]["message"].as_str().unwrap()).collect();
        assert_eq!(messages, ["call done", "job claimed", "attempt ended"]);
        for line in &lines {
            assert_eq!(line["span"]["traceparent"], TRACEPARENT);
            assert_eq!(line["level"], "INFO");
            assert_eq!(line["spans"], Value::Null, "what the span says is said once");
        }
        let (call, claim, end) = (&lines[0], &lines[1], &lines[2]);
        assert_eq!(call["span"]["rpc"], "/generation.v1.RequestService/CreateRequest");
        assert_eq!(call["fields"]["code"], "OK");
        assert_eq!((&call["fields"]["request_id"], &call["fields"]["job_id"]), (&id.into(), &job_id.into()));
        assert!(call["fields"]["duration_ms"].is_u64());
        for line in [claim, end] {
            let span = &line["span"];
            assert_eq!((&span["request_id"], &span["job_id"]), (&id.into(), &job_id.into()));
            assert_eq!((&span["provider"], &span["worker"]), (&"scripted".into(), &"ada".into()));
            assert_eq!(span["feature_id"], feature);
        }
        assert_eq!(end["fields"]["status"], "completed");
        assert!(end["fields"]["duration_ms"].is_u64());
        assert!(end["fields"]["bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{end}");
    }

    async fn a_change_leaves_a_line_whatever_it_is_called(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let process = Process::serve(&db, media.path(), &["billing.kind=ledger"]).await;
        let mut grant = Request::new(GrantCreditsRequest {
            user_id: USER,
            amount: 5,
            reason: "a test".to_owned(),
            idempotency_key: "once".to_owned(),
            ..Default::default()
        });
        grant.metadata_mut().insert("x-request-id", "giver".parse().unwrap());
        process.credits().grant_credits(grant).await.unwrap();
        let messages: Vec<_> = lines_of(&process, "giver").iter().map(|line| line["fields"]["message"].clone()).collect();
        assert!(messages.contains(&"call done".into()), "{messages:?}");
    }

    async fn what_is_malformed_is_replaced_and_reads_leave_no_line(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let process = Process::serve(&db, media.path(), &[]).await;
        let feature = process.scripted_feature().await;
        let script = Script::new(&["succeed"]);
        let (_, job_id, made) = create(&process, scripted_request(feature, &script), "not one").await;
        assert!(uuid::Uuid::parse_str(&made).is_ok(), "{made}");
        process.ended(job_id).await;
        assert_eq!(lines_until_the_end(&process, &made).await.len(), 3);

        let mut read = Request::new(GetJobRequest { id: job_id, ..Default::default() });
        read.metadata_mut().insert("x-request-id", "reader".parse().unwrap());
        let read = process.jobs().get_job(read).await.unwrap();
        assert_eq!(read.metadata().get("x-request-id").unwrap(), "reader");
        let mut refused = Request::new(GetJobRequest { id: job_id + 1, ..Default::default() });
        refused.metadata_mut().insert("x-request-id", "refused".parse().unwrap());
        process.jobs().get_job(refused).await.unwrap_err();
        assert_eq!(lines_of(&process, "reader"), [] as [Value; 0]);
        let lines = lines_of(&process, "refused");
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(line["fields"]["message"], "call refused");
        assert_eq!((&line["fields"]["code"], &line["fields"]["job_id"]), (&"NOT_FOUND".into(), &(job_id + 1).into()));
        assert!(line["fields"]["duration_ms"].is_u64());
    }

    async fn a_browser_s_call_that_fails_leaves_a_line_however_it_is_told(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let process = Process::serve(&db, media.path(), &[]).await;
        let script = Script::new(&["succeed"]).gated();
        let job = process.create_scripted(&script).await;
        let url = format!("http://{}", process.address());
        for format in [BINARY, TEXT] {
            for (id, code) in [(job.id, "DEADLINE_EXCEEDED"), (job.id + 1, "NOT_FOUND")] {
                let known = format!("{code}-{}", format.len());
                let headers = [("grpc-timeout", "1S"), ("x-request-id", &*known)];
                let asked = WatchJobRequest { id, ..Default::default() };
                let mut watch = grpc_web::call_with(&url, "JobService/WatchJob", format, &headers, &asked).await;
                // A refusal is all in the head.
                if watch.header("grpc-status").is_none() {
                    while watch.message::<WatchJobResponse>().await.is_some() {}
                }
                watch.status().await;
                let lines = lines_of(&process, &known);
                let [line] = &lines[..] else { panic!("{known}: {lines:?}") };
                let fields = &line["fields"];
                assert_eq!((&fields["message"], &fields["code"]), (&"call refused".into(), &code.into()));
            }
        }
        script.open_gate();
    }

    async fn every_job_of_a_call_stands_in_its_line(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let process = Process::serve(&db, media.path(), &[]).await;
        let feature = process.scripted_feature().await;
        let script = Script::new(&["reject", "succeed"]);
        let mut asked = scripted_request(feature, &script);
        asked.input.as_mut().unwrap().variations = 2;
        let (request, jobs) = process.create(asked).await;
        let named = async |id: i64, id_of_line: &str, name: &str| {
            let call = process.log();
            let lines = call.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let mut lines = lines.filter(|line| line["span"]["rpc"].as_str().is_some_and(|rpc| rpc.ends_with(name)));
            let line = lines.next().unwrap();
            assert_eq!(line["fields"][id_of_line], id, "{line}");
            line["fields"]["job_ids"].clone()
        };
        let both = format!("{}, {}", jobs[0].id, jobs[1].id);
        assert_eq!(named(request.id, "request_id", "/CreateRequest").await, both);
        let mut failed = None;
        for job in &jobs {
            if process.ended(job.id).await.job.status() == JobStatus::Failed {
                failed = Some(job.id);
            }
        }
        let failed = failed.unwrap();
        let retried = process.jobs().retry_job(RetryJobRequest { id: failed }).await.unwrap();
        let made = retried.into_inner().job.unwrap().id;
        assert_eq!(named(failed, "job_id", "/RetryJob").await, format!("{failed}, {made}"));
    }

    async fn words_of_a_client_forge_no_line_of_a_log_and_no_field_of_an_answer(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let name = "a\n2026-01-01T00:00:00Z ERROR forged\r\u{1b}[31m\u{85}\u{202e}\u{2028}";
        let shown = r"a\n2026-01-01T00:00:00Z ERROR forged\r\u{1b}[31m\u{85}\u{202e}\u{2028}";
        for format in ["text", "json"] {
            let settings = [&*format!("log.format={format}"), "log.filter=trace"];
            let process = Process::serve(&db, media.path(), &settings).await;
            let mut feature = scripted_feature("forged");
            feature.name = format!("forged-{format}");
            let feature = process.add_feature(feature).await;
            let mut asked = request_for(feature.id);
            asked.input = Some(GenerationInput {
                variables: [(name.to_owned(), value(&json!("x")))].into(),
                ..Default::default()
            });
            let refused = process.requests().create_request(asked).await;
            refusal(refused).of_fields([&*format!("input.variables.{shown}")]);
            process.until_logged("call refused").await;
            let log = process.log();
            assert!(log.contains("ERROR forged"), "the name is not logged at all");
            for line in log.lines() {
                let whole = match format {
                    "text" => line.starts_with("20") && line.chars().all(|letter| !letter.is_control() && !"\u{202e}\u{2028}".contains(letter)),
                    _ => serde_json::from_str::<Value>(line).is_ok(),
                };
                assert!(whole, "{line:?} is no event");
            }
            process.kill();
        }
    }

    async fn a_panic_is_one_line_of_a_text_log(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let process = Process::serve(&db, media.path(), &["log.format=text"]).await;
        let script = Script::new(&["panic"]);
        let job = process.create_scripted(&script).await;
        assert_eq!(process.ended(job.id).await.job.status(), JobStatus::Failed);
        let log = process.log();
        assert!(log.contains("panicked"), "{log}");
        for line in log.lines() {
            assert!(line.starts_with("20") && line.contains('Z'), "{line:?} is no event");
        }
    }
}

/// The ids of the request and its job, and the x-request-id that came back.
async fn create(
    process: &Process,
    asked: CreateRequestRequest,
    x_request_id: &'static str,
) -> (i64, i64, String) {
    let mut asked = Request::new(asked);
    let metadata = asked.metadata_mut();
    metadata.insert("x-request-id", x_request_id.parse().unwrap());
    metadata.insert("traceparent", TRACEPARENT.parse().unwrap());
    let created = process.requests().create_request(asked).await.unwrap();
    let answered = created.metadata().get("x-request-id").unwrap();
    let answered = answered.to_str().unwrap().to_owned();
    let created = created.into_inner();
    (created.request.unwrap().id, created.jobs[0].id, answered)
}

/// The same, once the end of an attempt is among them: it is logged after watchers hear of it.
async fn lines_until_the_end(process: &Process, x_request_id: &str) -> Vec<Value> {
    within(async {
        loop {
            let lines = lines_of(process, x_request_id);
            if lines
                .iter()
                .any(|line| line["fields"]["message"] == "attempt ended")
            {
                return lines;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await
}

/// The lines within spans that the caller knows by `x_request_id`.
fn lines_of(process: &Process, x_request_id: &str) -> Vec<Value> {
    let log = process.log();
    // A line that is just being written does not count yet.
    let complete = log.rsplit_once('\n').map_or("", |(lines, _)| lines);
    let lines = complete.lines();
    let lines = lines.map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|line: &Value| line["span"]["x_request_id"] == x_request_id)
        .collect()
}
