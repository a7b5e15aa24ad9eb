//! Every rpc with every kind of bad input, held against a table of what must come of it.
//!
//! The table, `error_walk/table.txt`, has a line for each call: the rpc, what was wrong with its message, and the
//! outcome with code, reason, metadata and the violations as the caller reads them. It is made by running this test with
//! ATELIER_WRITE_TABLE=1, and read by a person before it is committed.

pub(super) mod calls;
mod mutation;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, MethodDescriptor};
use serde_json::Value;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::support::database::on_both_databases;
use crate::support::process::Process;
use crate::support::raw;
use crate::support::refusal::{Refusal, of_status};
use crate::support::server::within;

use calls::{Calls, Fixtures};

/// No row has it.
pub(super) const UNKNOWN_ID: i64 = 999_999;
/// Most violations that a line shows; their number stands in it anyway.
const TOLD_VIOLATIONS: usize = 3;
/// What the line of a call has of the ids in its message.
const LOGGED_IDS: [&str; 6] = [
    "feature_id",
    "template_id",
    "request_id",
    "job_id",
    "media_id",
    "upload_id",
];
type Ids = BTreeMap<String, i64>;
const TABLE: &str = "tests/it/api/error_walk/table.txt";
/// Words of drivers and of the databases, which no client is told.
const DRIVER_WORDS: [&str; 10] = [
    "sqlx",
    "sqlstate",
    "sqlite",
    "postgres",
    "constraint",
    "foreign key",
    "syntax error",
    "panicked",
    "generation_",
    "query",
];

on_both_databases! {
    async fn every_bad_input_of_every_rpc_has_the_outcome_of_the_table(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let settings = ["log.filter=info", "log.format=json", "executor.concurrency=1", "billing.kind=ledger"];
        let server = Process::serve(&db, media.path(), &settings).await;
        let fixtures = Fixtures::make(&server, &db).await;
        let before = refusals_logged(&server.log());
        let pool = DescriptorPool::decode(atelier::rpc::proto::DESCRIPTORS).unwrap();

        let (mut table, mut refused, mut ids) = (String::new(), 0, Vec::new());
        for method in methods(&pool) {
            let deleted = fixtures.deleted_of(&method);
            let calls = Calls::new(&fixtures);
            for mutation in mutation::of(&calls.of(&method), &deleted) {
                let message = calls.refresh(mutation.message);
                ids.push((rpc_of(&method), ids_in(&method, &message)));
                let outcome = outcome(server.channel(), &method, &message, &ids.len().to_string()).await;
                refused += usize::from(outcome.is_err());
                let told = tell(&method, &mutation.name, outcome);
                writeln!(table, "{} {} -> {told}", rpc_of(&method), mutation.name).unwrap();
            }
            fixtures.delete(&db).await;
        }
        let log = server.log();
        assert_eq!(refusals_logged(&log) - before, refused, "a refusal is one line of the log");
        assert_ids_logged(&log, &ids);
        assert!(!log.contains("\"ERROR\"") && !log.contains("panicked"), "{log}");
        compare(&table);
    }
}

pub(super) fn methods(pool: &DescriptorPool) -> Vec<MethodDescriptor> {
    let own =
        |service: &prost_reflect::ServiceDescriptor| service.package_name() == "generation.v1";
    let mut services: Vec<_> = pool.services().filter(own).collect();
    services.sort_by_key(|service| service.name().to_owned());
    services
        .into_iter()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect()
}

pub(super) fn rpc_of(method: &MethodDescriptor) -> String {
    format!("{}.{}", method.parent_service().name(), method.name())
}

/// What comes of a call: of a stream, its first message.
pub(super) async fn outcome(
    channel: Channel,
    method: &MethodDescriptor,
    message: &DynamicMessage,
    x_request_id: &str,
) -> Result<(), Status> {
    let service = method.parent_service();
    let path = format!("/{}/{}", service.full_name(), method.name());
    let bytes = prost::Message::encode_to_vec(message).into();
    let mut messages = Request::new(tokio_stream::once(bytes));
    let x_request_id = x_request_id.parse().unwrap();
    messages.metadata_mut().insert("x-request-id", x_request_id);
    within(async {
        let mut answer = raw::call(channel, &path, messages).await?.into_inner();
        answer.message().await.map(|_| ())
    })
    .await
}

/// The outcome as the table tells it, after it was held against what holds for all errors.
fn tell(method: &MethodDescriptor, mutation: &str, outcome: Result<(), Status>) -> String {
    let status = match outcome {
        Ok(()) => return "OK".to_owned(),
        Err(status) => status,
    };
    let place = format!("{} {mutation}: {status:?}", rpc_of(method));
    let faults = [
        Code::Internal,
        Code::Unknown,
        Code::Unavailable,
        Code::DataLoss,
    ];
    assert!(!faults.contains(&status.code()), "{place}");
    let words = status.message().to_lowercase();
    for word in DRIVER_WORDS {
        assert!(!words.contains(word), "{word:?} in {place}");
    }
    let refusal = of_status(&status);
    let mut told = format!(
        "{:?} {}{}",
        refusal.code,
        reason(&refusal),
        metadata(&refusal)
    );
    let details = status.get_error_details();
    let violations = details
        .bad_request()
        .map(|bad| bad.field_violations.as_slice());
    for violation in violations.unwrap_or_default().iter().take(TOLD_VIOLATIONS) {
        let (field, description) = (
            violation.field.escape_debug(),
            violation.description.escape_debug(),
        );
        write!(told, " | {field}: {description}").unwrap();
    }
    told
}

fn reason(refusal: &Refusal) -> &'static str {
    refusal
        .reason
        .as_str_name()
        .trim_start_matches("ERROR_REASON_")
}

fn metadata(refusal: &Refusal) -> String {
    let mut pairs: Vec<_> = refusal.metadata.iter().collect();
    pairs.sort();
    pairs.iter().fold(String::new(), |mut told, (key, value)| {
        // They depend on the calls before, and on the encoder.
        let varies = matches!(key.as_str(), "etag" | "file_size");
        let value = if varies { "*" } else { value.as_str() };
        write!(told, " {key}={value}").unwrap();
        told
    })
}

fn refusals_logged(log: &str) -> usize {
    let refused = |line: &&str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let told = line["fields"]["message"] == "call refused";
        let complete = !line["fields"]["reason"].is_null() && !line["span"]["rpc"].is_null();
        assert!(!told || complete, "{line}");
        told
    };
    log.lines().filter(refused).count()
}

/// The ids that a message names what it is about by, as the log has them. A list or a count names none: it filters.
fn ids_in(method: &MethodDescriptor, message: &DynamicMessage) -> Ids {
    let service = method.parent_service();
    let own = service.name().trim_end_matches("Service").to_lowercase();
    let mut ids = Ids::new();
    if ["List", "Count"]
        .iter()
        .any(|verb| method.name().starts_with(verb))
    {
        return ids;
    }
    for (field, value) in message.fields().filter(|(field, _)| !is_output_only(field)) {
        if let Some(resource) = value.as_message().filter(|_| field.name() == own) {
            ids.extend(ids_in(method, resource));
        }
        let name = match field.name() {
            "id" if method.name().ends_with("Upload") => "upload_id".to_owned(),
            "id" => format!("{own}_id"),
            name => name.to_owned(),
        };
        if let Some(id) = value
            .as_i64()
            .filter(|_| LOGGED_IDS.contains(&name.as_str()))
        {
            ids.insert(name, id);
        }
    }
    ids
}

/// Whether the contract says that only the server sets the field.
fn is_output_only(field: &FieldDescriptor) -> bool {
    let behavior = field
        .parent_pool()
        .get_extension_by_name("google.api.field_behavior");
    let options = field.options();
    let behavior = options.get_extension(&behavior.unwrap()).into_owned();
    behavior
        .as_list()
        .is_some_and(|of| of.contains(&prost_reflect::Value::EnumNumber(3)))
}

/// Each call that changes something, and each that was refused, has a line with its ids.
fn assert_ids_logged(log: &str, ids: &[(String, Ids)]) {
    let mut called = BTreeSet::new();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let words = line["fields"]["message"].as_str().unwrap_or_default();
        let number = line["span"]["x_request_id"]
            .as_str()
            .map(str::parse::<usize>);
        if let Some(Ok(number)) = number.filter(|_| words.starts_with("call ")) {
            let (rpc, ids) = &ids[number - 1];
            called.insert(rpc);
            for (name, id) in ids {
                assert_eq!(line["fields"][name], *id, "{name} of {rpc} in {line}");
            }
        }
    }
    let all: BTreeSet<_> = ids.iter().map(|(rpc, _)| rpc).collect();
    assert_eq!(called, all, "a line for every rpc");
}

#[track_caller]
fn compare(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    if std::env::var_os("ATELIER_WRITE_TABLE").is_some() {
        fs::write(&path, table).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let (expected, found): (Vec<_>, Vec<_>) = (expected.lines().collect(), table.lines().collect());
    let missing = expected.iter().filter(|line| !found.contains(line));
    let new = found.iter().filter(|line| !expected.contains(line));
    let differences: Vec<String> = missing
        .map(|line| format!("- {line}"))
        .chain(new.map(|line| format!("+ {line}")))
        .collect();
    assert!(
        differences.is_empty(),
        "{TABLE} (-) and this server (+) differ:\n{}",
        differences.join("\n")
    );
}
