//! Objects that no record names: removed where they are certainly nobody's, and nowhere else.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use atelier::app::{App, Removal, RemovalMode, Sweep, Withheld};
use atelier::domain::{Doubt, Error, Installation};
use atelier::media::StorageKey;
use atelier::server::{Role, open_app};
use atelier::store;
use codec::Format;

use crate::support::bench::Bench;
use crate::support::bucket::{keep_media_in, serve_bucket, serve_bucket_keeping};
use crate::support::client::scripted_request;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::process::{atelier, refused, run};
use crate::support::script::Script;
use crate::support::server::{TestServer, configuration, within};

const LOOK_AGAIN: Duration = Duration::from_millis(10);

const ALL: Removal = Removal {
    age: Duration::ZERO,
    mode: RemovalMode::On,
    share: Some(10),
};

on_both_databases! {
    async fn what_no_record_names_is_removed_once_it_is_old_by_the_clock_of_the_database(db: TestDatabase) {
        let bench = claimed(&db).await;
        put(&bench, 1).await;
        // Objects have the time of the computer, which lies before the clock of the test.
        let old = Removal { age: Duration::from_secs(100 * 365 * 86_400), ..ALL };
        assert_eq!(sweep(&bench, &old).await, Sweep { objects: 1, ..Sweep::default() });
        let removed = Sweep { objects: 1, orphans: 1, removed: 1, withheld: None };
        assert_eq!(sweep(&bench, &ALL).await, removed);
        assert_eq!(sweep(&bench, &ALL).await, Sweep::default());
    }

    async fn a_second_database_on_the_same_storage_removes_nothing_until_it_adopts_it(db: TestDatabase) {
        let production = claimed(&db).await;
        put(&production, 3).await;
        let other = TestDatabase::create(Backend::Sqlite).await;
        let staging = production.beside(&other).await;
        staging.app.claim_empty_storage().await.unwrap();
        let doubt = Withheld::Doubtful(Doubt::OtherDatabase);
        assert_eq!(sweep(&staging, &ALL).await.withheld, Some(doubt));
        assert_eq!(objects(&production.app).await, 3);

        staging.app.adopt_storage().await.unwrap();
        assert_eq!(sweep(&production, &ALL).await.withheld, Some(doubt), "it is the other's now");
        assert_eq!(sweep(&staging, &ALL).await.removed, 3);
    }

    async fn a_database_restored_from_a_backup_removes_nothing_of_what_came_after_it(db: TestDatabase) {
        let bench = claimed(&db).await;
        put(&bench, 1).await;
        for look in ["a look", "a start"] {
            let backup = installation(&bench.app).await;
            match look {
                "a look" => {
                    sweep(&bench, &Removal { mode: RemovalMode::DryRun, ..ALL }).await;
                }
                _ => bench.app.claim_empty_storage().await.unwrap(),
            }
            let now = installation(&bench.app).await;
            restore(&bench, &backup).await;
            let doubt = Withheld::Doubtful(Doubt::OlderDatabase);
            assert_eq!(sweep(&bench, &ALL).await.withheld, Some(doubt), "{look}");
            assert_eq!(objects(&bench.app).await, 1);
            restore(&bench, &now).await;
        }
    }

    async fn a_copy_of_the_database_removes_nothing_of_what_the_original_made(db: TestDatabase) {
        let copy = claimed(&db).await;
        let before = installation(&copy.app).await;
        // The one job was there when the copy was made, and waited; the other was not.
        let waiting = copy.request(1, 0).await[0].id;
        for job_id in [waiting, 1_000] {
            put_of(&copy.app, job_id, "of the original").await;
        }
        copy.app.claim_empty_storage().await.unwrap();
        assert_eq!(installation(&copy.app).await, before, "the original is shut out");
        let withheld = Some(Withheld::Doubtful(Doubt::OlderDatabase));
        let kept = Sweep { objects: 2, orphans: 2, removed: 0, withheld };
        assert_eq!(sweep(&copy, &ALL).await, kept);
        assert_eq!(copy.app.survey_storage(Duration::ZERO).await.unwrap(), kept);
        copy.app.adopt_storage().await.unwrap();
        assert_eq!(sweep(&copy, &ALL).await.removed, 2);
    }

    async fn a_copy_that_makes_a_job_again_still_removes_nothing_of_the_original(db: TestDatabase) {
        let copy = claimed(&db).await;
        copy.request(1, 0).await;
        let job = copy.claim(1).await.remove(0);
        put_of(&copy.app, job.id, "of the original").await;
        let withheld = Some(Withheld::Doubtful(Doubt::OlderDatabase));
        let kept = Sweep { objects: 1, orphans: 1, removed: 0, withheld };
        assert_eq!(sweep(&copy, &ALL).await, kept, "although its own attempt has left nothing");
        copy.complete(&job).await.unwrap();
        put_of(&copy.app, job.id, job.lease_token.as_deref().unwrap()).await;
        assert_eq!(sweep(&copy, &ALL).await, Sweep { objects: 2, orphans: 1, removed: 0, withheld });
    }

    async fn a_copy_of_the_time_when_an_attempt_ran_is_behind_once_its_output_is_stored(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]).gated();
        let job = server.create_scripted(&script).await.id;
        script.wait_until_submitted(1).await;
        let copied = installation(server.app()).await;
        script.open_gate();
        within(async {
            while marker(server.app()).await.counter == copied.counter {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }).await;
        assert!(installation(server.app()).await.counter > copied.counter);
        assert!(!server.media_of(server.ended(job).await.job.id).await.is_empty());
    }

    async fn neither_removes_anything_when_a_copy_counts_on_and_the_original_stores(db: TestDatabase) {
        let bench = claimed(&db).await;
        put(&bench, 1).await;
        let of_original = installation(&bench.app).await;
        bench.app.claim_empty_storage().await.unwrap();
        let of_copy = installation(&bench.app).await;
        restore(&bench, &of_original).await;
        bench.app.count_stored().await.unwrap();
        let withheld = Some(Withheld::Doubtful(Doubt::OlderDatabase));
        for one in [of_original, of_copy] {
            restore(&bench, &one).await;
            assert_eq!(sweep(&bench, &ALL).await.withheld, withheld, "{one:?}");
        }
        assert_eq!(objects(&bench.app).await, 1);
    }

    async fn a_storage_of_before_is_claimed_by_the_database_that_knows_all_of_it_and_by_no_other(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        put(&bench, 1).await;
        bench.app.claim_empty_storage().await.unwrap();
        let doubt = Withheld::Doubtful(Doubt::UnknownObjects(1));
        assert_eq!(sweep(&bench, &ALL).await, Sweep { objects: 1, orphans: 1, removed: 0, withheld: Some(doubt) });

        let other = TestDatabase::create(Backend::Sqlite).await;
        let known = Bench::new(&other).await;
        put_known(&known).await;
        assert_eq!(sweep(&known, &ALL).await, Sweep { objects: 1, ..Sweep::default() });
        assert_eq!(known.app.storage.installation().await.unwrap(), Some(installation(&known.app).await));
    }

    async fn more_than_the_share_goes_only_by_a_command_and_nothing_in_a_dry_run(db: TestDatabase) {
        let bench = claimed(&db).await;
        put(&bench, 11).await;
        let withheld = |withheld| Sweep { objects: 11, orphans: 11, removed: 0, withheld: Some(withheld) };
        assert_eq!(sweep(&bench, &ALL).await, withheld(Withheld::Share(10)));
        let dry_run = Removal { mode: RemovalMode::DryRun, share: None, ..ALL };
        assert_eq!(sweep(&bench, &dry_run).await, withheld(Withheld::DryRun));
        let off = Removal { mode: RemovalMode::Off, ..ALL };
        assert_eq!(sweep(&bench, &off).await.withheld, Some(Withheld::Off));
        assert_eq!(objects(&bench.app).await, 11);
        let unfinished = bench.unfinished_object();
        for kept in [&dry_run, &off] {
            sweep(&bench, kept).await;
            assert!(unfinished.exists(), "{kept:?}");
        }
        let command = Removal { share: None, ..ALL };
        assert_eq!(sweep(&bench, &command).await.removed, 11);
        assert!(!unfinished.exists());
    }

    async fn the_status_of_a_storage_that_nobody_has_claimed_leaves_it_so(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        put_known(&bench).await;
        for arguments in [&["status"][..], &["clean", "--dry-run"]] {
            let told = storage(&db, bench.media_folder(), arguments).await;
            assert_eq!(told, (true, "1 objects, 0 old ones without a record, 0 removed\n".to_owned()));
            assert_eq!(bench.app.storage.installation().await.unwrap(), None);
            let of_database = store::installation::find(bench.app.store.reader()).await;
            assert_eq!(of_database.unwrap(), None);
        }
        sweep(&bench, &ALL).await;
        let claimed = installation(&bench.app).await;
        assert!(storage(&db, bench.media_folder(), &["status"]).await.0);
        assert_eq!(installation(&bench.app).await, claimed, "the counter too");
        bench.request(1, 0).await;
        let lost = bench.claim(1).await.remove(0);
        let orphan = put_of(&bench.app, lost.id, &lost.lease_token.unwrap()).await;
        let file = File::options().write(true).open(bench.media_folder().join(orphan.path()));
        file.unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let (done, told) = storage(&db, bench.media_folder(), &["status"]).await;
        assert!(done && told.starts_with("2 objects, 1 old ones without a record; nothing is removed: "), "{told}");
        assert_eq!(objects(&bench.app).await, 2);
    }

    async fn commands_tell_whose_a_storage_is_and_adopt_and_clean_it(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let other = TestDatabase::create(Backend::Sqlite).await;
        migration::up(&other.connect().await, None).await.unwrap();
        let storage = |db, arguments: &'static [&'static str]| storage(db, server.media_folder(), arguments);
        assert_eq!(storage(&db, &["status"]).await, (true, "0 objects, 0 old ones without a record, 0 removed\n".to_owned()));
        let (done, told) = storage(&other, &["clean"]).await;
        assert!(!done && told.contains("belongs to another database") && told.contains("atelier storage adopt"), "{told}");
        let (done, told) = storage(&other, &["adopt"]).await;
        assert!(done && told.contains("belongs to this database now"), "{told}");
        // A folder stands where the marker would.
        let unwritable = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(unwritable.path().join("atelier-installation.json/x")).unwrap();
        let folder = format!("storage.folder={}", unwritable.path().display());
        assert!(!run(atelier(&other, &["storage", "adopt", "--set", &folder])).await.status.success());
        assert!(storage(&other, &["clean"]).await.0);
        assert!(!storage(&db, &["clean"]).await.0);
    }

    async fn a_command_on_a_storage_leaves_the_schema_as_it_is_and_says_who_changes_it(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let folder = format!("storage.folder={}", media.path().display());
        let connection = db.connect().await;
        migration::up(&connection, Some(5)).await.unwrap();
        let before = migration::status(&connection).await.unwrap();
        for action in ["status", "adopt", "clean"] {
            let ended = run(atelier(&db, &["storage", action, "--set", &folder])).await;
            refused(&ended, &["m0006_installation", "atelier migrate up"]);
            assert_eq!(migration::status(&connection).await.unwrap(), before, "{action}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_one_database_s_too_and_a_prefix_keeps_two_apart() {
    let root = tempfile::tempdir().unwrap();
    let bucket = serve_bucket(&root).await;
    let (one, two) = (
        TestDatabase::create(Backend::Sqlite).await,
        TestDatabase::create(Backend::Postgres).await,
    );
    let start = async |db: &TestDatabase, prefix: &str| {
        let mut config = configuration(db, root.path());
        keep_media_in(&bucket, &mut config);
        prefix.clone_into(&mut config.storage.prefix);
        let app = open_app(&config).await.unwrap();
        app.claim_empty_storage().await.unwrap();
        app
    };
    let first = start(&one, "").await;
    let second = start(&two, "").await;
    let doubt = Withheld::Doubtful(Doubt::OtherDatabase);
    let swept = second.sweep_storage(&ALL).await.unwrap();
    assert_eq!(swept.withheld, Some(doubt));
    assert_eq!(first.sweep_storage(&ALL).await.unwrap().withheld, None);

    let third = TestDatabase::create(Backend::Sqlite).await;
    let third = start(&third, "staging/media").await;
    for job_id in [1, 2] {
        put_of(&third, job_id, "t").await;
    }
    third.adopt_storage().await.unwrap();
    assert_eq!(objects(&first).await, 0);
    assert_eq!(third.sweep_storage(&ALL).await.unwrap().removed, 2);
    assert!(root.path().join("pictures/staging/media").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_served_beside_its_original_lets_all_media_be() {
    let original = TestDatabase::create(Backend::Sqlite).await;
    let server = TestServer::start(&original).await;
    let feature = server.scripted_feature().await;
    let make = async || {
        let script = Script::new(&["succeed"]);
        let job = server.create(scripted_request(feature, &script)).await.1[0].id;
        server.ended(job).await;
        server.media_of(job).await.remove(0)
    };
    let before = make().await;
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy.db").display().to_string();
    assert!(
        run(atelier(&original, &["backup", &copy]))
            .await
            .status
            .success()
    );
    let after = make().await;
    let copy = TestDatabase::at(format!("sqlite://{copy}"), Backend::Sqlite);
    let served = server.beside(Role::Api, &copy, |_| ()).await;
    served.stop().await;
    for command in [&["clean"][..], &["status"]] {
        let (done, told) = storage(&copy, server.media_folder(), command).await;
        assert!(!done || command == ["status"], "{told}");
        assert!(
            told.starts_with(
                "2 objects, 0 old ones without a record; nothing is removed: the database is older"
            ),
            "{told}"
        );
    }
    for media in [&before, &after] {
        assert!(!server.content_of(media).await.is_empty());
    }
    let (done, told) = storage(&original, server.media_folder(), &["clean"]).await;
    assert!(done, "the original is not shut out: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_the_time_when_an_attempt_ran_lets_its_media_be() {
    let original = TestDatabase::create(Backend::Sqlite).await;
    let server = TestServer::start_with(&original, |config| {
        // Only the stop is left to count.
        config.executor.upkeep_interval = Duration::from_secs(3600);
    })
    .await;
    let script = Script::new(&["succeed"]).gated();
    let job = server.create_scripted(&script).await.id;
    script.wait_until_submitted(1).await;
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy.db").display().to_string();
    let backup = run(atelier(&original, &["backup", &copy])).await;
    assert!(backup.status.success(), "{backup:?}");
    script.open_gate();
    server.ended(job).await;
    server.shutdown().await;
    let copy = TestDatabase::at(format!("sqlite://{copy}"), Backend::Sqlite);
    let (done, told) = storage(&copy, original.media.path(), &["clean"]).await;
    assert!(!done && told.contains("the database is older"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_may_not_be_removed_keeps_no_other_one() {
    let root = tempfile::tempdir().unwrap();
    let bucket = serve_bucket_keeping(&root, "-7.png").await;
    let db = TestDatabase::create(Backend::Sqlite).await;
    let mut config = configuration(&db, root.path());
    keep_media_in(&bucket, &mut config);
    let app = open_app(&config).await.unwrap();
    app.claim_empty_storage().await.unwrap();
    for file in 0..9 {
        let key = StorageKey::for_output(1, "t", file, Format::Png);
        app.storage.put(&key, "x".into(), None).await.unwrap();
    }
    app.adopt_storage().await.unwrap();
    for _ in 0..2 {
        let refusal = app.sweep_storage(&ALL).await.unwrap_err();
        assert!(
            matches!(refusal, Error::StorageUnavailable(_)),
            "{refusal:?}"
        );
        assert_eq!(objects(&app).await, 1);
    }
}

#[tokio::test]
async fn an_empty_database_url_is_a_mistake() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let mut config = atelier(&db, &["config"]);
    config.env("DATABASE_URL", "");
    let refused = run(config).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2));
    assert!(told.contains("DATABASE_URL"), "{told}");
}

/// The use cases on a database that has claimed its empty storage.
async fn claimed(db: &TestDatabase) -> Bench {
    let bench = Bench::new(db).await;
    bench.app.claim_empty_storage().await.unwrap();
    bench
}

/// As many objects of attempts that were lost before they were recorded.
async fn put(bench: &Bench, objects: u32) {
    for _ in 0..objects {
        bench.request(1, 0).await;
    }
    for job in bench.claim(objects).await {
        let token = job.lease_token.unwrap();
        put_of(&bench.app, job.id, &token).await;
    }
}

async fn put_of(app: &App, job_id: i64, token: &str) -> StorageKey {
    let key = StorageKey::for_output(job_id, token, 0, Format::Png);
    app.storage.put(&key, "x".into(), None).await.unwrap();
    key
}

/// An object that a record names.
async fn put_known(bench: &Bench) {
    bench.request(1, 0).await;
    let job = bench.claim(1).await.remove(0);
    bench.complete(&job).await.unwrap();
    let token = job.lease_token.as_deref().unwrap();
    put_of(&bench.app, job.id, token).await;
}

async fn sweep(bench: &Bench, removal: &Removal) -> Sweep {
    bench.app.sweep_storage(removal).await.unwrap()
}

async fn objects(app: &App) -> usize {
    use futures::StreamExt;
    app.storage.list().count().await
}

async fn installation(app: &App) -> Installation {
    let found = store::installation::find(app.store.reader()).await;
    found.unwrap().unwrap()
}

async fn marker(app: &App) -> Installation {
    app.storage.installation().await.unwrap().unwrap()
}

/// Makes the database the installation that it was, as a backup of that time would.
async fn restore(bench: &Bench, state: &Installation) {
    let store = &bench.app.store;
    let restored = store.write(async |tx| store::installation::set(tx, state).await);
    restored.await.unwrap();
}

/// Whether the command succeeded, and what it told.
async fn storage(db: &TestDatabase, folder: &Path, arguments: &[&str]) -> (bool, String) {
    let folder = format!("storage.folder={}", folder.display());
    let arguments = [&["storage", "--set", &folder], arguments].concat();
    let ended = run(atelier(db, &arguments)).await;
    let told = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.stderr.is_empty(), "{ended:?}");
    (ended.status.success(), told)
}
