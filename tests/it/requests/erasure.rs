//! Erasing a user: all that he has goes, whatever comes between two steps, and what others have stays.

use std::path::{Path, PathBuf};
use std::time::Duration;

use atelier::app::{Removal, RemovalMode};
use atelier::config::Config;
use atelier::domain::{Actor, Caller, Entry, FIRST_ACCOUNT, Installation};
use atelier::entity;
use atelier::rpc::proto::*;
use atelier::server::Role;
use sea_orm::ConnectionTrait;
use tempfile::TempDir;
use tonic::{Code, Response, Status};

use crate::support::billing::{BillingStandIn, Fault, Rpc};
use crate::support::bucket::{keep_media_in, serve_bucket, serve_bucket_with_outages};
use crate::support::client::{Client, scripted_request};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::ledger::{assert_balanced, bench_with_credits, grant, with_ledger};
use crate::support::process::{atelier, refused, run};
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::uploads::picture_named;

/// A number, and a word of a prompt, that stand for nothing else.
const ERASED: i64 = 4_242_424;
const WORD: &str = "flamingo";
const OTHER: i64 = 515_151;

const LOOK_AGAIN: Duration = Duration::from_millis(10);

on_both_databases! {
    async fn all_that_a_user_has_goes_and_what_others_have_stays(db: TestDatabase) {
        let server = TestServer::start_with(&db, with_ledger).await;
        let feature = server.priced_feature(3).await;
        for user_id in [ERASED, OTHER] {
            let given = GrantCreditsRequest { user_id, ..grant(100, "start") };
            server.credits().grant_credits(given).await.unwrap();
        }
        let (succeeds, fails, hangs) = (Script::new(&["succeed"]), Script::new(&["fail"]), Script::new(&["succeed"]).gated());
        let kept = server.create(of(OTHER, scripted_request(feature, &succeeds))).await;
        let mut asked = of(ERASED, scripted_request(feature, &succeeds));
        asked.idempotency_key = "once".to_owned();
        asked.input.get_or_insert_default().variations = 2;
        let made = server.create(asked).await;
        let deleted = server.create(of(ERASED, scripted_request(feature, &succeeds))).await;
        let failed = server.create(of(ERASED, scripted_request(feature, &fails))).await;
        for job in made.1.iter().chain(&deleted.1).chain(&kept.1) {
            server.completed(job.id).await;
        }
        server.ended(failed.1[0].id).await;
        server.requests().delete_request(DeleteRequestRequest { id: deleted.0.id, ..Default::default() }).await.unwrap();
        server.upload(ERASED, &picture_named(WORD)).await;
        let running = server.create(of(ERASED, scripted_request(feature, &hangs))).await;
        hangs.wait_until_submitted(1).await;
        assert!(!traces(&db).await.is_empty());

        let erased = erase(&server, ERASED).await.unwrap();
        assert_eq!((erased.requests, erased.jobs), (4, 5));
        assert!(erased.end_time.is_some() && erased.user_id == 0, "{erased:?}");
        assert!(erased.media >= 3 && erased.uploads == 1 && erased.objects == erased.media + 1 && erased.object_bytes > 0, "{erased:?}");
        assert_eq!(erased.credits, 100 - 3 * 3, "what failed and what was stopped came back");
        assert!(erased.account_id >= FIRST_ACCOUNT && erased.kept_transactions >= 10, "{erased:?}");
        assert_eq!(erased.kept_audit_entries, 1, "the grant");
        assert_eq!(traces(&db).await, Vec::<String>::new());
        let again = server.admin().get_erasure(GetErasureRequest { id: erased.id }).await.unwrap();
        assert_eq!(again.into_inner().erasure.unwrap(), erased);

        let gone = server.requests().get_request(GetRequestRequest { id: running.0.id, ..Default::default() }).await;
        refusal(gone).is(Code::NotFound, ErrorReason::RequestNotFound);
        let stays = server.media_of(kept.1[0].id).await;
        assert!(!stays.is_empty());
        assert_eq!(files(server.media_folder()).len(), stays.len(), "the other's are there, and no others");
        server.content_of(&stays[0]).await;
        assert_balanced(&db).await;
        let told = server.credits().get_balance(GetBalanceRequest { user_id: ERASED }).await.unwrap().into_inner();
        assert_eq!((told.available, told.reserved), (0, 0));
        let ledger = ListTransactionsRequest { user_id: erased.account_id, ..Default::default() };
        let ledger = server.credits().list_transactions(ledger).await.unwrap().into_inner().transactions;
        assert_eq!(ledger.len(), usize::try_from(erased.kept_transactions).unwrap());
        let audit = ListAuditEntriesRequest {
            subject_kind: AuditSubjectKind::User.into(),
            subject_id: erased.account_id,
            ..Default::default()
        };
        let audit = server.admin().list_audit_entries(audit).await.unwrap().into_inner().entries;
        let actions: Vec<_> = audit.iter().map(AuditEntry::action).collect();
        assert_eq!(actions, [AuditAction::EraseUser, AuditAction::GrantCredits]);

        // Identity keeps the user, who begins anew.
        hangs.open_gate();
        let anew = server.create(of(ERASED, scripted_request(server.scripted_feature().await, &succeeds))).await;
        server.completed(anew.1[0].id).await;
    }

    async fn whatever_comes_between_two_steps_it_ends_and_counts_each_once(db: TestDatabase) {
        let bench = bench_with_credits(&db).await;
        for _ in 0..45 {
            bench.request(1, 0).await;
        }
        for job in bench.claim(30).await {
            bench.complete(&job).await.unwrap();
        }
        let acting = bench.app.acting(Actor::local());
        let begun = acting.erase_user(1).await.unwrap();
        let mut erasure = begun.clone();
        let mut steps = 0;
        while erasure.ended_at.is_none() {
            assert_eq!(acting.erase_user(1).await.unwrap().id, begun.id, "one at a time");
            // Each claim is a step, as if the process ended after it.
            erasure = bench.app.carry_out(erasure, Duration::ZERO).await.unwrap();
            steps += 1;
            if steps == 4 {
                let hidden = atelier::store::erasure::requests(bench.app.store.reader(), 1, false, 1).await.unwrap();
                let back = Entry { id: hidden[0], ..Entry::default() };
                bench.app.undelete_requests(Caller::TrustedService, &[back]).await.unwrap();
                bench.request(1, 0).await;
            }
            assert!(steps < 40, "it goes on without end");
        }
        let erased = erasure.erased().unwrap();
        assert_eq!((erased.requests, erased.jobs, erased.media), (46, 46, 30));
        assert_balanced(&db).await;
        assert_eq!(bench.app.go_on_erasing().await.unwrap(), 0);
        let of_nobody = bench.app.balance(1).await.unwrap();
        assert_eq!(of_nobody.available, 0);
    }

    async fn two_servers_that_are_asked_at_once_erase_once(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let other = server.beside(Role::All, &db, |_| ()).await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&["succeed"]);
        for _ in 0..8 {
            let made = server.create(of(ERASED, scripted_request(feature, &script))).await;
            server.completed(made.1[0].id).await;
        }
        let (one, two) = tokio::join!(erase_once(&server, ERASED), erase_once(&other, ERASED));
        let (one, two) = (one.unwrap(), two.unwrap());
        let ids = [one.id, two.id];
        let mut requests = 0;
        for id in ids.iter().take(if one.id == two.id { 1 } else { 2 }) {
            requests += ended(&server, *id).await.requests;
        }
        assert_eq!(requests, 8);
        assert_eq!(traces(&db).await, Vec::<String>::new());
    }

    async fn a_storage_that_is_away_keeps_the_rows_until_it_is_back(db: TestDatabase) {
        let root = TempDir::new().unwrap();
        let (bucket, outage) = serve_bucket_with_outages(&root).await;
        let server = TestServer::start_with(&db, |config: &mut Config| keep_media_in(&bucket, config)).await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&["succeed"]);
        let made = server.create(of(ERASED, scripted_request(feature, &script))).await;
        server.completed(made.1[0].id).await;
        outage.begin();
        refusal(erase_once(&server, ERASED).await).is(Code::Unavailable, ErrorReason::StorageUnavailable);
        assert!(!traces(&db).await.is_empty());
        outage.end();
        let erased = erase(&server, ERASED).await.unwrap();
        assert_eq!(erased.requests, 1);
        assert_eq!(traces(&db).await, Vec::<String>::new());
    }

    async fn a_copy_of_the_database_erases_nothing_of_the_original_s_storage(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&["succeed"]);
        let made = server.create(of(ERASED, scripted_request(feature, &script))).await;
        server.completed(made.1[0].id).await;
        let original = Installation { id: "the original".to_owned(), counter: 1, adopted_at: None };
        server.app().storage.mark(&original).await.unwrap();
        refusal(erase_once(&server, ERASED).await).is(Code::Unavailable, ErrorReason::StorageUnavailable);
        assert_eq!(files(server.media_folder()).len(), 1);
        server.app().adopt_storage().await.unwrap();
        assert_eq!(erase(&server, ERASED).await.unwrap().objects, 1);
        assert_eq!(traces(&db).await, Vec::<String>::new());
    }

    async fn billing_hears_of_every_job_before_its_user_is_nobody(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(ERASED, 100)]);
        let server = TestServer::start_with(&db, |config| billing.asked_by(config)).await;
        let feature = server.priced_feature(5).await;
        let hangs = Script::new(&["succeed"]).gated();
        server.create(of(ERASED, scripted_request(feature, &hangs))).await;
        hangs.wait_until_submitted(1).await;
        billing.next(Rpc::Release, Fault::Unavailable);
        let erased = erase(&server, ERASED).await.unwrap();
        assert_eq!((erased.requests, erased.credits, erased.kept_transactions), (1, 0, 0));
        assert_eq!(billing.balance(ERASED), (100, 0));
        assert_eq!(traces(&db).await, Vec::<String>::new());
        hangs.open_gate();
    }

    async fn a_user_whom_identity_deletes_takes_his_rows_along_and_what_is_left_ends(db: TestDatabase) {
        let one_slot = |config: &mut Config| {
            with_ledger(config);
            config.executor.concurrency = 1;
        };
        let server = TestServer::start_with(&db, one_slot).await;
        let feature = server.priced_feature(3).await;
        for user_id in [ERASED, OTHER] {
            let given = GrantCreditsRequest { user_id, ..grant(100, "start") };
            server.credits().grant_credits(given).await.unwrap();
        }
        let (succeeds, hangs) = (Script::new(&["succeed"]), Script::new(&["succeed"]).gated());
        let made = server.create(of(ERASED, scripted_request(feature, &succeeds))).await;
        server.completed(made.1[0].id).await;
        let running = server.create(of(ERASED, scripted_request(feature, &hangs))).await;
        hangs.wait_until_submitted(1).await;
        let waiting = server.create(of(ERASED, scripted_request(feature, &hangs))).await;
        let other = server.create(of(OTHER, scripted_request(feature, &succeeds))).await;

        db.execute(&format!("DELETE FROM users WHERE id = {ERASED}")).await;
        server.completed(other.1[0].id).await;
        let released = format!(
            "SELECT CAST(job_id AS TEXT) FROM generation_credit_transactions WHERE kind = 'release' AND job_id IN ({}, {})",
            running.1[0].id, waiting.1[0].id
        );
        within(async {
            while db.texts(&released).await.len() < 2 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
        assert_balanced(&db).await;
        assert_eq!(hangs.jobs_with("submit"), [running.1[0].id].into(), "what waited never began");

        let all = Removal { age: Duration::ZERO, mode: RemovalMode::On, share: None };
        let swept = server.app().sweep_storage(&all).await.unwrap();
        assert_eq!((swept.orphans, swept.removed), (1, 1), "{swept:?}");
        assert_eq!(files(server.media_folder()).len(), server.media_of(other.1[0].id).await.len());
        let kept = traces(&db).await;
        let tables = ["generation_credit_grants", "generation_credit_transactions", "generation_audit_entries"];
        assert!(kept.iter().all(|it| tables.iter().any(|table| it.starts_with(table))), "{kept:?}");
        assert!(tables.iter().all(|table| kept.iter().any(|it| it.starts_with(table))), "{kept:?}");
        // Identity is rid of him; what keeps his number may still be made nobody's.
        let erased = erase(&server, ERASED).await.unwrap();
        assert_eq!((erased.requests, erased.kept_audit_entries), (0, 1));
        assert_eq!(traces(&db).await, Vec::<String>::new());
        hangs.open_gate();
    }

    async fn the_ledger_lets_a_user_go_and_nothing_else(db: TestDatabase) {
        let server = TestServer::start_with(&db, with_ledger).await;
        server.give(5, "a").await;
        let connection = db.connect().await;
        for change in [
            "generation_credit_transactions SET user_id = 8",
            "generation_credit_transactions SET amount = 6",
            "generation_credit_transactions SET user_id = 4611686018427387904, amount = 6",
            "generation_audit_entries SET subject_id = 8",
            "generation_audit_entries SET actor = 'nobody', subject_id = 4611686018427387904",
        ] {
            let changed = connection.execute_unprepared(&format!("UPDATE {change}")).await;
            assert!(changed.unwrap_err().to_string().contains("only added"), "{change}");
        }
        let erased = erase(&server, crate::support::client::USER).await.unwrap();
        for change in ["generation_credit_transactions SET user_id = 7", "generation_credit_transactions SET user_id = user_id + 1"] {
            let changed = connection.execute_unprepared(&format!("UPDATE {change}")).await;
            assert!(changed.unwrap_err().to_string().contains("only added"), "{change}");
        }
        assert_eq!((erased.kept_transactions, erased.credits), (2, 5));
    }

    async fn a_user_who_cannot_be_erased_is_named(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.identity.system_user_id = Some(9)).await;
        for user in [0, -1, 9, FIRST_ACCOUNT, i64::MAX] {
            refusal(erase_once(&server, user).await).of_fields(["user_id"]);
        }
        let unknown = server.admin().get_erasure(GetErasureRequest { id: 4_711 }).await;
        refusal(unknown).is(Code::NotFound, ErrorReason::ErasureNotFound).with("erasure_id", 4_711);
        let nobody = erase(&server, 123_456).await.unwrap();
        assert_eq!((nobody.requests, nobody.objects, nobody.kept_transactions), (0, 0, 0));
    }

    async fn the_command_erases_what_it_is_told_to_and_prints_the_receipt(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&["succeed"]);
        let made = server.create(of(ERASED, scripted_request(feature, &script))).await;
        server.completed(made.1[0].id).await;
        let media = format!("storage.folder={}", server.media_folder().display());
        let (id, set) = (ERASED.to_string(), ["--set", media.as_str()]);
        let output = run(atelier(&db, &[&["user", "erase", id.as_str()][..], &set].concat())).await;
        refused(&output, &["--yes"]);
        assert!(!traces(&db).await.is_empty());
        let output = run(atelier(&db, &[&["user", "erase", id.as_str(), "--yes"][..], &set].concat())).await;
        let told = String::from_utf8(output.stdout).unwrap();
        for line in ["of user 4242424 has ended", "requests              1", "files                 1"] {
            assert!(told.contains(line), "{line} is not in:\n{told}");
        }
        assert_eq!(traces(&db).await, Vec::<String>::new());
        assert_eq!(files(server.media_folder()), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn erasing_removes_objects_from_a_bucket_too() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let root = TempDir::new().unwrap();
    let bucket = serve_bucket(&root).await;
    let server = TestServer::start_with(&db, |config| keep_media_in(&bucket, config)).await;
    let feature = server.scripted_feature().await;
    let script = Script::new(&["succeed"]);
    for user in [ERASED, OTHER] {
        let made = server
            .create(of(user, scripted_request(feature, &script)))
            .await;
        server.completed(made.1[0].id).await;
    }
    let before = files(root.path()).len();
    let erased = erase(&server, ERASED).await.unwrap();
    let left = files(root.path()).len();
    assert_eq!(left as i64, before as i64 - erased.objects);
    assert!(erased.objects > 0);
}

/// The same of this user, in words that are found again.
fn of(user_id: i64, asked: CreateRequestRequest) -> CreateRequestRequest {
    let user_prompt = match user_id {
        ERASED => format!("a {WORD}"),
        _ => "a heron".to_owned(),
    };
    CreateRequestRequest {
        user_id,
        user_prompt,
        ..asked
    }
}

async fn erase_once(client: &Client, user_id: i64) -> Result<Erasure, Status> {
    let erased = within(client.admin().erase_user(EraseUserRequest { user_id })).await;
    erased.map(|it: Response<EraseUserResponse>| it.into_inner().erasure.unwrap())
}

/// Until it has ended.
async fn erase(client: &Client, user_id: i64) -> Result<Erasure, Status> {
    let begun = erase_once(client, user_id).await?;
    Ok(ended(client, begun.id).await)
}

async fn ended(client: &Client, id: i64) -> Erasure {
    let poll = async {
        loop {
            let asked = GetErasureRequest { id };
            let told = client.admin().get_erasure(asked).await.unwrap();
            let erasure = told.into_inner().erasure.unwrap();
            if erasure.end_time.is_some() {
                return erasure;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    within(poll).await
}

/// Where the database still has the number or the words of the user, but for Identity's table.
async fn traces(db: &TestDatabase) -> Vec<String> {
    let mut traces = Vec::new();
    for (table, columns) in entity::tables() {
        for column in columns {
            let found = format!(
                "SELECT CAST({column} AS TEXT) FROM {table}
                 WHERE CAST({column} AS TEXT) LIKE '%{ERASED}%' OR CAST({column} AS TEXT) LIKE '%{WORD}%'"
            );
            let found = db.texts(&found).await;
            traces.extend(found.iter().map(|text| format!("{table}.{column}: {text}")));
        }
    }
    traces
}

/// Those below the folder, but for the marker of whose they are.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            match path.is_dir() {
                true => folders.push(path),
                false if name.contains("installation") || name.starts_with('.') => {}
                false => files.push(path),
            }
        }
    }
    files
}
