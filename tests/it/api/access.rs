//! Every rpc by everybody, held against a table of who may call it.
//!
//! The table, `access.txt`, has a line for each rpc. It is made by running this test with ATELIER_WRITE_TABLE=1, and read by a
//! person before it is committed.

use std::fmt::Write;
use std::fs;

use atelier::config::Config;
use atelier::server::Role;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, ReflectMessage, Value};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::support::client::USER;
use crate::support::database::on_both_databases;
use crate::support::identity::{asks, expired, token};
use crate::support::ledger::with_ledger;
use crate::support::raw;
use crate::support::refusal::of_status;
use crate::support::server::{TestServer, within};

use super::error_walk::calls::{Calls, Fixtures};
use super::error_walk::{UNKNOWN_ID, methods, rpc_of};

const TABLE: &str = "tests/it/api/access.txt";

on_both_databases! {
    async fn everybody_may_call_what_the_table_says(db: TestDatabase) {
        // One that trusts all makes the rows, and another asks.
        let trusting = TestServer::start(&db).await;
        let fixtures = Fixtures::make(&trusting, &db).await;
        let server = trusting.beside(Role::Api, &db, asking).await;
        let pool = DescriptorPool::decode(atelier::rpc::proto::DESCRIPTORS).unwrap();
        let own = USER.to_string();
        let callers = [
            ("anonymous", None),
            ("expired", Some(expired("admin", "ops"))),
            ("foreign", Some(token("user", "8"))),
            ("own", Some(token("user", &own))),
            ("service", Some(token("service", "shop"))),
            ("admin", Some(token("admin", "ops"))),
        ];
        let mut table = String::new();
        let mut methods = methods(&pool);
        // A feature takes its templates along when it is deleted.
        methods.sort_by_key(|method| method.parent_service().name() == "FeatureService");
        for method in methods {
            let calls = Calls::new(&fixtures);
            let message = without_projects(calls.of(&method));
            write!(table, "{}", rpc_of(&method)).unwrap();
            for (name, token) in &callers {
                let message = calls.refresh(message.clone());
                let outcome = outcome(server.channel(), &method, &message, token.as_deref()).await;
                let told = outcome.map_or_else(|status| tell(&status), |_| "OK".to_owned());
                write!(table, " {name}={told}").unwrap();
            }
            table.push('\n');
        }
        compare(&table);
    }

    async fn another_s_row_answers_like_one_that_never_was(db: TestDatabase) {
        let trusting = TestServer::start(&db).await;
        let fixtures = Fixtures::make(&trusting, &db).await;
        let server = trusting.beside(Role::Api, &db, asking).await;
        let pool = DescriptorPool::decode(atelier::rpc::proto::DESCRIPTORS).unwrap();
        let stranger = token("user", "8");
        let mut compared = 0;
        for method in methods(&pool) {
            let service = method.parent_service();
            if ["FeatureService", "TemplateService"].contains(&service.name()) {
                continue;
            }
            let message = without_projects(Calls::new(&fixtures).of(&method));
            let (mut unknown, mut rows) = (message.clone(), Vec::new());
            replace_ids(&mut unknown, &mut rows);
            if rows.is_empty() {
                continue;
            }
            let ask = async |message| outcome(server.channel(), &method, message, Some(&stranger)).await;
            let (theirs, never) = (ask(&message).await, ask(&unknown).await);
            let (theirs, never) = (shown(&method, theirs), shown(&method, never));
            let theirs = rows.iter().fold(theirs, |told, id| replace_number(&told, *id));
            assert_eq!(theirs, never, "{}", rpc_of(&method));
            compared += 1;
        }
        assert!(compared >= 25, "{compared}");
    }
}

fn asking(config: &mut Config) {
    asks(config);
    with_ledger(config);
}

/// Users have none, and a refusal of it would hide all others.
fn without_projects(mut message: DynamicMessage) -> DynamicMessage {
    for field in ["new_project_id", "view"] {
        message.clear_field_by_name(field);
    }
    message
}

async fn outcome(
    channel: Channel,
    method: &MethodDescriptor,
    message: &DynamicMessage,
    token: Option<&str>,
) -> Result<Vec<u8>, Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let bytes = prost::Message::encode_to_vec(message).into();
    let mut call = Request::new(tokio_stream::once(bytes));
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().unwrap();
        call.metadata_mut().insert("authorization", value);
    }
    within(async {
        let mut answer = raw::call(channel, &path, call).await?.into_inner();
        let first = answer.message().await?;
        Ok(first.unwrap_or_default().to_vec())
    })
    .await
}

/// Replaces what names a row of someone by what names none, and tells which they were.
fn replace_ids(message: &mut DynamicMessage, rows: &mut Vec<i64>) {
    let descriptor = message.descriptor();
    let fields: Vec<_> = descriptor
        .fields()
        .filter(|field| message.has_field(field))
        .collect();
    for field in fields {
        let is_id = ["id", "ids", "job_id", "media_id", "share_id"].contains(&field.name());
        let mut value = message.get_field(&field).into_owned();
        replace(&mut value, is_id, rows);
        message.set_field(&field, value);
    }
}

fn replace(value: &mut Value, is_id: bool, rows: &mut Vec<i64>) {
    match value {
        Value::I64(id) if is_id && *id != 0 => rows.push(std::mem::replace(id, UNKNOWN_ID)),
        Value::List(values) => values.iter_mut().for_each(|it| replace(it, is_id, rows)),
        Value::Message(message) if !message.descriptor().full_name().starts_with("google.") => {
            replace_ids(message, rows);
        }
        _ => {}
    }
}

/// All that an answer tells.
fn shown(method: &MethodDescriptor, outcome: Result<Vec<u8>, Status>) -> String {
    match outcome {
        Ok(bytes) => {
            let message = DynamicMessage::decode(method.output(), bytes.as_slice()).unwrap();
            format!("{message}")
        }
        Err(status) => {
            let refusal = of_status(&status);
            let metadata: std::collections::BTreeMap<_, _> = refusal.metadata.iter().collect();
            format!("{:?} {} {metadata:?}", status.code(), status.message())
        }
    }
}

/// The text with one number, where it stands by itself, as [`UNKNOWN_ID`].
fn replace_number(text: &str, number: i64) -> String {
    let number = number.to_string();
    let mut told = String::new();
    let mut digits = String::new();
    for letter in text.chars().chain(['\n']) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        match digits == number {
            true => told.push_str(&UNKNOWN_ID.to_string()),
            false => told.push_str(&digits),
        }
        digits.clear();
        told.push(letter);
    }
    told.pop();
    told
}

fn tell(status: &Status) -> String {
    assert_ne!(status.code(), Code::Internal, "{status:?}");
    let reason = of_status(status).reason;
    reason
        .as_str_name()
        .trim_start_matches("ERROR_REASON_")
        .to_owned()
}

fn compare(table: &str) {
    if std::env::var_os("ATELIER_WRITE_TABLE").is_some() {
        fs::write(TABLE, table).unwrap();
        return;
    }
    let expected = fs::read_to_string(TABLE).unwrap();
    for (told, expected) in table.lines().zip(expected.lines()) {
        assert_eq!(told, expected);
    }
    assert_eq!(table, expected);
}
