//! The audit log: whatever changes what all see leaves one entry, in the name of whoever did it, and nothing else does.

mod rows;

use std::collections::BTreeMap;

use atelier::config::Config;
use atelier::rpc::proto::*;
use atelier::server::Role;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};
use prost_types::Timestamp;
use sea_orm::ConnectionTrait;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::support::client::{Client, USER, plain_template, scripted_feature};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::identity::{asks, by, token};
use crate::support::ledger::{grant, with_ledger};
use crate::support::process::{Process, atelier, run};
use crate::support::raw;
use crate::support::refusal::refusal;
use crate::support::server::{TestServer, within};

use super::error_walk::calls::{Calls, Fixtures};
use super::error_walk::{methods, rpc_of};
use rows::Rows;

const CATALOGUE: &str = r#"
[[features]]
name = "poster"
category = "image"
properties = { provider = "scripted" }

[[features.templates]]
name = "audited"
template_data = { prompt = "{{ user_prompt }}!" }
"#;

on_both_databases! {
    async fn every_call_that_only_admins_may_make_leaves_one_entry_if_it_changes_something(db: TestDatabase) {
        let trusting = TestServer::start_with(&db, with_ledger).await;
        let server = trusting.beside(Role::Api, &db, asking).await;
        let rows = Rows::make(&trusting).await;
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        let (admin, service, user) = (token("admin", "ops"), token("service", "shop"), token("user", "7"));
        let mut walked = 0;
        for method in methods(&pool).into_iter().filter(|method| !only_reads(method)) {
            let nothing = DynamicMessage::new(method.input());
            let refused = call(server.channel(), &method, &nothing, &service).await;
            let refused = refused.err().map(|status| status.code());
            if refused != Some(Code::PermissionDenied) {
                continue;
            }
            let place = rpc_of(&method);
            let (message, expected) = rows.change(&method);
            let before = entries(&trusting).await.len();
            if message.get_field_by_name("validate_only").is_some() {
                let mut rehearsed = message.clone();
                rehearsed.set_field_by_name("validate_only", Value::Bool(true));
                call(server.channel(), &method, &rehearsed, &admin).await.unwrap();
            }
            for other in [&service, &user] {
                call(server.channel(), &method, &message, other).await.unwrap_err();
            }
            assert_eq!(entries(&trusting).await.len(), before, "{place}: nothing was changed yet");
            call(server.channel(), &method, &message, &admin).await.unwrap_or_else(|status| panic!("{place}: {status:?}"));
            // Once more it is refused, or changes nothing; but a user who has been erased may be erased again.
            if method.name() != "EraseUser" {
                let _ = call(server.channel(), &method, &message, &admin).await;
            }
            let now = entries(&trusting).await;
            assert_eq!(now.len(), before + 1, "{place}: {now:#?}");
            let entry = &now[0];
            let told = (entry.actor.as_str(), entry.credential.as_str());
            assert_eq!(told, ("admin:ops", "token"), "{place}");
            let (action, kind, id) = expected;
            assert_eq!((entry.action(), entry.subject_kind()), (action, kind), "{place}");
            assert!(entry.subject_id > 0 && (id == 0 || entry.subject_id == id), "{place}: {entry:?}");
            walked += 1;
        }
        assert!(walked >= 11, "{walked} calls were found");
    }

    async fn no_other_call_leaves_any(db: TestDatabase) {
        let trusting = TestServer::start_with(&db, with_ledger).await;
        let fixtures = Fixtures::make(&trusting, &db).await;
        let server = trusting.beside(Role::Api, &db, asking).await;
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        let before = entries(&trusting).await.len();
        assert_eq!(before, 7, "three features with a template each, and an erasure");
        for method in methods(&pool) {
            let message = Calls::new(&fixtures).of(&method);
            let _ = call(server.channel(), &method, &message, &token("service", "shop")).await;
        }
        assert_eq!(entries(&trusting).await.len(), before);
    }

    async fn a_change_and_its_entry_are_there_together_or_not_at_all(db: TestDatabase) {
        let server = TestServer::start_with(&db, with_ledger).await;
        let feature = server.add_feature(scripted_feature("before")).await;
        db.execute("ALTER TABLE generation_audit_entries RENAME TO away").await;
        server.features().create_feature(scripted_feature("during")).await.unwrap_err();
        server.delete_feature(feature.id, "").await.unwrap_err();
        server.credits().grant_credits(grant(5, "a")).await.unwrap_err();
        db.execute("ALTER TABLE away RENAME TO generation_audit_entries").await;

        let names = db.texts("SELECT name FROM generation_features WHERE deleted_at IS NULL").await;
        assert_eq!(names, ["before"]);
        assert_eq!(server.balance().await, (0, 0));
        server.add_feature(scripted_feature("during")).await;
        server.give(5, "a").await;
        let stale = Feature { etag: "\"99\"".to_owned(), description: "x".to_owned(), ..feature.clone() };
        refusal(server.update_feature(stale, &["description"]).await).is(Code::Aborted, ErrorReason::EtagMismatch);
        let taken = Feature { name: "during".to_owned(), etag: String::new(), ..feature };
        refusal(server.update_feature(taken, &["name"]).await).is(Code::AlreadyExists, ErrorReason::FeatureNameTaken);
        let actions: Vec<_> = entries(&server).await.iter().map(AuditEntry::action).collect();
        assert_eq!(actions, [AuditAction::GrantCredits, AuditAction::CreateFeature, AuditAction::CreateFeature]);
    }

    async fn entries_cannot_be_changed_nor_removed_behind_the_server_s_back(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        server.scripted_feature().await;
        let connection = db.connect().await;
        for statement in ["UPDATE generation_audit_entries SET actor = 'nobody'", "DELETE FROM generation_audit_entries"] {
            let refused = connection.execute_unprepared(statement).await.unwrap_err().to_string();
            assert!(refused.contains("only added"), "{statement}: {refused}");
        }
        assert_eq!(entries(&server).await.len(), 1);
    }

    async fn who_has_done_something_is_told_by_his_name_and_by_how_it_was_shown(db: TestDatabase) {
        let trusting = TestServer::start_with(&db, with_ledger).await;
        let server = trusting.beside(Role::Api, &db, |config| {
            asking(config);
            config.auth.api_keys = true;
        }).await;
        let key = command(&db, &["key", "create", "ops", "--scope", "admin"]).await;
        let key = key.trim_end();
        trusting.give(1, "local").await;
        server.credits().grant_credits(by(&token("admin", "ada"), grant(2, "token"))).await.unwrap();
        server.credits().grant_credits(by(key, grant(-3, "key"))).await.unwrap();
        command(&db, &["key", "revoke", "1"]).await;
        command(&db, &["key", "revoke", "1"]).await;
        command(&db, &["secrets", "rotate", "tokens"]).await;

        let told: Vec<_> = entries(&trusting).await.into_iter().rev().map(|entry| {
            let (action, kind) = (entry.action(), entry.subject_kind());
            (entry.actor, entry.credential, action, kind, entry.subject_id)
        }).collect();
        let row = |actor: &str, credential: &str, action, kind, id| (actor.to_owned(), credential.to_owned(), action, kind, id);
        let (user, api_key) = (AuditSubjectKind::User, AuditSubjectKind::ApiKey);
        assert_eq!(told, [
            row("operator", "", AuditAction::CreateApiKey, api_key, 1),
            row("local", "", AuditAction::GrantCredits, user, USER),
            row("admin:ada", "token", AuditAction::GrantCredits, user, USER),
            row("admin:ops", "api_key:1", AuditAction::DeductCredits, user, USER),
            row("operator", "", AuditAction::RevokeApiKey, api_key, 1),
            row("operator", "", AuditAction::RotateSecret, AuditSubjectKind::Secret, 2),
        ]);
        let whole = format!("{:?}", entries(&trusting).await);
        assert!(!whole.contains(key.rsplit_once('_').unwrap().1), "{whole}");
        let details: Vec<_> = entries(&trusting).await.iter().rev().map(detail).collect();
        let about = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(details[0], BTreeMap::from([about("name", "ops"), about("scope", "admin")]));
        assert_eq!(details[3]["amount"], "-3");
        assert_eq!((&*details[3]["reason"], &*details[3]["idempotency_key"]), ("a test", "key"));
        assert_eq!(details[5]["purpose"], "tokens");
    }

    async fn a_catalogue_leaves_an_entry_for_each_row_that_it_changes_and_one_for_itself(db: TestDatabase) {
        let installing = |config: &mut Config| config.catalogue.install_starter = true;
        TestServer::start_as(Role::Api, &db, installing).await.stop().await;
        let server = TestServer::start_as(Role::Api, &db, installing).await;
        let installed = entries(&server).await;
        let rows = db.texts("SELECT name FROM generation_features UNION ALL SELECT name FROM generation_templates").await;
        assert_eq!(installed.len(), rows.len() + 1, "once, however often a server starts");
        assert_eq!((installed[0].action(), installed[0].actor.as_str()), (AuditAction::InstallCatalogue, "operator"));
        assert_eq!(detail(&installed[0])["entries"], rows.len().to_string());

        let file = db.media.path().join("catalogue.toml");
        std::fs::write(&file, CATALOGUE).unwrap();
        let apply = ["catalogue", "apply", file.to_str().unwrap()];
        let since = async |count: usize| {
            let all = entries(&server).await;
            let new = all[..all.len() - count].iter().rev().map(|entry| (entry.action(), detail(entry)));
            (new.collect::<Vec<_>>(), all.len())
        };
        command(&db, &[&apply[..], &["--dry-run"]].concat()).await;
        command(&db, &apply).await;
        command(&db, &apply).await;
        let (applied, count) = since(installed.len()).await;
        let actions: Vec<_> = applied.iter().map(|(action, _)| *action).collect();
        assert_eq!(actions, [AuditAction::UpdateFeature, AuditAction::CreateTemplate, AuditAction::ApplyCatalogue], "{applied:?}");

        std::fs::write(&file, CATALOGUE.replace("audited", "quote").replace("scripted", "builtin")).unwrap();
        command(&db, &[&apply[..], &["--prune"]].concat()).await;
        let (pruned, _) = since(count).await;
        let removed = pruned.iter().filter(|(action, _)| *action == AuditAction::DeleteTemplate);
        let removed: Vec<_> = removed.map(|(_, detail)| detail["name"].clone()).collect();
        assert!(removed.contains(&"audited".to_owned()), "{pruned:?}");
        assert_eq!(pruned[0].1["fields"], r#"["properties.provider"]"#);
        assert_eq!(pruned.last().unwrap().0, AuditAction::ApplyCatalogue);
    }

    async fn what_was_changed_is_told_by_its_fields_and_not_by_what_was_written(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.add_feature(scripted_feature("drawn")).await;
        let secret = Feature {
            system_prompt: "a system prompt".to_owned(),
            description: "a description".to_owned(),
            ..feature
        };
        server.update_feature(secret, &["system_prompt", "description"]).await.unwrap();
        let entry = &entries(&server).await[0];
        assert_eq!(detail(entry), BTreeMap::from([("fields".to_owned(), r#"["description","system_prompt"]"#.to_owned())]));
    }

    async fn the_log_is_listed_newest_first_and_narrowed_by_what_is_asked_for(db: TestDatabase) {
        let server = TestServer::start_with(&db, with_ledger).await;
        let feature = server.add_feature(scripted_feature("drawn")).await;
        let first = server.add_template(plain_template(feature.id, "first")).await;
        server.add_template(plain_template(feature.id, "second")).await;
        server.delete_template(first.id, "").await.unwrap();
        server.give(5, "a").await;
        let all = entries(&server).await;
        let ids: Vec<i64> = all.iter().map(|entry| entry.id).collect();
        assert!(ids.is_sorted_by(|one, other| one > other) && ids.len() == 5, "{ids:?}");

        let list = async |asked: ListAuditEntriesRequest| server.admin().list_audit_entries(asked).await.map(|it| it.into_inner());
        let (mut paged, mut page_token) = (Vec::new(), String::new());
        loop {
            let page = list(ListAuditEntriesRequest { page_size: 2, page_token, ..Default::default() }).await.unwrap();
            paged.extend(page.entries);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(paged, all);

        let narrowed = async |asked| list(asked).await.unwrap().entries.into_iter().map(|it| it.id).collect::<Vec<_>>();
        let none = ListAuditEntriesRequest::default;
        let template = AuditSubjectKind::Template.into();
        assert_eq!(narrowed(ListAuditEntriesRequest { actor: "local".to_owned(), ..none() }).await, ids);
        assert!(narrowed(ListAuditEntriesRequest { actor: "loca".to_owned(), ..none() }).await.is_empty());
        assert_eq!(narrowed(ListAuditEntriesRequest { action: AuditAction::CreateTemplate.into(), ..none() }).await, ids[2..4]);
        assert_eq!(narrowed(ListAuditEntriesRequest { subject_kind: template, ..none() }).await, ids[1..4]);
        let of_first = ListAuditEntriesRequest { subject_kind: template, subject_id: first.id, ..none() };
        assert_eq!(narrowed(of_first).await, [ids[1], ids[3]]);
        let time = all[2].create_time;
        assert_eq!(narrowed(ListAuditEntriesRequest { create_time_start: time, ..none() }).await, ids[..3]);
        assert_eq!(narrowed(ListAuditEntriesRequest { create_time_end: time, ..none() }).await, ids[3..]);

        let token = list(ListAuditEntriesRequest { page_size: 1, ..none() }).await.unwrap().next_page_token;
        let other = ListAuditEntriesRequest { page_token: token, subject_kind: template, ..none() };
        refusal(list(other).await).is(Code::InvalidArgument, ErrorReason::InvalidPageToken);
        let wrong = ListAuditEntriesRequest {
            page_size: -1,
            actor: "a\nb".to_owned(),
            action: 999,
            subject_id: 7,
            create_time_start: Some(Timestamp { seconds: 9, nanos: 0 }),
            create_time_end: Some(Timestamp { seconds: 8, nanos: 0 }),
            ..none()
        };
        refusal(list(wrong).await).of_fields(["page_size", "actor", "action", "subject_kind", "create_time_end"]);
    }

    async fn each_entry_is_one_line_of_the_log_under_a_target_of_its_own(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        for format in ["json", "text"] {
            let settings = [&*format!("log.format={format}"), "log.filter=error,audit=info", "billing.kind=ledger"];
            let process = Process::serve(&db, media.path(), &settings).await;
            let forged = GrantCreditsRequest { reason: "a\u{202e}test".to_owned(), ..grant(5, format) };
            process.credits().grant_credits(forged.clone()).await.unwrap();
            process.credits().grant_credits(forged).await.unwrap();
            process.credits().grant_credits(grant(0, "wrong")).await.unwrap_err();
            process.credits().grant_credits(grant(1, &format!("last-{format}"))).await.unwrap();
            process.until_logged("\"last-").await;
            let log = process.log();
            let lines: Vec<_> = log.lines().collect();
            let (first, count) = (lines[0], lines.len());
            match format {
                "json" => assert_line(first),
                _ => assert!(first.contains(" INFO ") && first.contains(": audit: changed audit_entry_id=") && first.contains(r#"actor="local""#), "{first}"),
            }
            assert!(log.contains(r"u{202e}") || log.contains(r"\u202e"), "{log}");
            assert!(!log.contains('\u{202e}'), "{log}");
            assert_eq!(count, 2, "what was given before is not given again: {log}");
            process.kill();
        }
    }
}

fn assert_line(line: &str) {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        (&line["level"], &line["target"]),
        (&"INFO".into(), &"audit".into())
    );
    let fields = &line["fields"];
    for (name, value) in [
        ("message", "changed"),
        ("actor", "local"),
        ("action", "grant_credits"),
        ("subject_kind", "user"),
    ] {
        assert_eq!(fields[name], value, "{line}");
    }
    assert_eq!(
        (&fields["audit_entry_id"], &fields["subject_id"]),
        (&1.into(), &USER.into())
    );
    let detail: serde_json::Value =
        serde_json::from_str(fields["detail"].as_str().unwrap()).unwrap();
    assert_eq!(detail["amount"], 5);
}

fn asking(config: &mut Config) {
    asks(config);
    with_ledger(config);
}

fn only_reads(method: &MethodDescriptor) -> bool {
    let options = method.method_descriptor_proto().options.as_ref();
    let level = options.map(prost_types::MethodOptions::idempotency_level);
    level == Some(prost_types::method_options::IdempotencyLevel::NoSideEffects)
}

async fn call(
    channel: Channel,
    method: &MethodDescriptor,
    message: &DynamicMessage,
    token: &str,
) -> Result<(), Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let bytes = message.encode_to_vec().into();
    let call = by(token, tokio_stream::once(bytes));
    within(async {
        let mut answer = raw::call(channel, &path, call).await?.into_inner();
        answer.message().await.map(|_| ())
    })
    .await
}

/// All of the log, newest first.
async fn entries(client: &Client) -> Vec<AuditEntry> {
    let asked = ListAuditEntriesRequest {
        page_size: 1_000,
        ..Default::default()
    };
    let listed = client.admin().list_audit_entries(asked).await;
    listed.unwrap().into_inner().entries
}

/// Texts as they are, and all else as JSON.
fn detail(entry: &AuditEntry) -> BTreeMap<String, String> {
    let fields = entry.detail.clone().unwrap_or_default().fields;
    fields
        .into_iter()
        .map(|(key, value)| (key, shown(value)))
        .collect()
}

fn shown(value: prost_types::Value) -> String {
    use prost_types::value::Kind;
    match value.kind {
        Some(Kind::StringValue(text)) => text,
        Some(Kind::NumberValue(number)) => number.to_string(),
        Some(Kind::ListValue(list)) => {
            let texts: Vec<_> = list.values.into_iter().map(shown).collect();
            format!("{texts:?}").replace(", ", ",")
        }
        other => format!("{other:?}"),
    }
}

/// What a command of the program prints.
async fn command(db: &TestDatabase, arguments: &[&str]) -> String {
    let folder = format!("storage.folder={}", db.media.path().display());
    let output = run(atelier(db, &[arguments, &["--set", &folder]].concat())).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
