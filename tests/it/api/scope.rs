//! What the store shows to a user: his own rows, and of those of others not even that they exist.

use atelier::{
    config::Config,
    domain::{Caller, Error, Keyring, Purpose, Resource, Sealer},
    store::{self, PageRequest, Store},
};

use crate::support::client::USER;
use crate::support::database::on_both_databases;
use crate::support::script::Script;
use crate::support::server::TestServer;

const OWNER: Caller = Caller::User(USER);
const STRANGER: Caller = Caller::User(USER + 1);

on_both_databases! {
    async fn someone_else_s_row_is_not_found(db: TestDatabase) {
        let (server, store) = with_store(&db).await;
        let script = Script::new(&["succeed"]);
        let job = server.create_scripted(&script).await;
        let media = server.ended(job.id).await.transitions.remove(2).media.remove(0).id;
        let db = store.reader();

        store::request::find(db, OWNER, job.request_id).await.unwrap();
        let refused = store::request::find(db, STRANGER, job.request_id).await;
        assert_missing(refused, Resource::Request, job.request_id);

        store::job::find(db, OWNER, job.id).await.unwrap();
        assert_missing(store::job::find(db, STRANGER, job.id).await, Resource::Job, job.id);

        let trail = store::job_event::list(db, OWNER, job.id, &first_page()).await.unwrap();
        assert_eq!(trail.items.len(), 3);
        let refused = store::job_event::list(db, STRANGER, job.id, &first_page()).await;
        assert_missing(refused, Resource::Job, job.id);

        store::media::find_live(db, OWNER, media).await.unwrap();
        let refused = store::media::find_live(db, STRANGER, media).await;
        assert_missing(refused, Resource::Media, media);
    }

    async fn someone_else_s_rows_are_missing_from_a_batch(db: TestDatabase) {
        let (server, store) = with_store(&db).await;
        let script = Script::new(&["succeed"]);
        let job = server.create_scripted(&script).await;
        let media = server.ended(job.id).await.transitions.remove(2).media.remove(0).id;
        let db = store.reader();
        for (caller, rows) in [(OWNER, 1), (STRANGER, 0), (Caller::TrustedService, 1)] {
            let requests = store::request::find_all(db, caller, [job.request_id]).await;
            let jobs = store::job::find_all(db, caller, [job.id]).await;
            let media = store::media::find_all(db, caller, [media]).await;
            let found = (requests.unwrap().len(), jobs.unwrap().len(), media.unwrap().len());
            assert_eq!(found, (rows, rows, rows), "{caller:?}");
        }
    }

    async fn a_list_has_the_caller_s_own_rows_whatever_the_filter_names(db: TestDatabase) {
        let (server, store) = with_store(&db).await;
        let script = Script::new(&["succeed"]);
        let job = server.create_scripted(&script).await;
        server.ended(job.id).await;
        for named in [None, Some(USER), Some(USER + 1)] {
            let own = if named == Some(USER + 1) { 0 } else { 1 };
            assert_eq!(rows(&store, OWNER, named).await, [own; 3], "{named:?}");
            assert_eq!(rows(&store, STRANGER, named).await, [0; 3], "{named:?}");
        }
    }
}

/// A server, and its database as the store sees it.
pub(super) async fn with_store(db: &crate::support::database::TestDatabase) -> (TestServer, Store) {
    let server = TestServer::start(db).await;
    let mut config = Config::default();
    config.database.url = db.url.parse().unwrap();
    (
        server,
        Store::open(&config.database, "a test").await.unwrap(),
    )
}

fn first_page() -> PageRequest {
    PageRequest {
        size: 50,
        token: String::new(),
        sealer: Sealer::new(&Keyring::new(Purpose::Tokens), Caller::TrustedService),
    }
}

#[track_caller]
fn assert_missing<T: std::fmt::Debug>(found: Result<T, Error>, missed: Resource, missed_id: i64) {
    match found {
        Err(Error::NotFound { resource, id }) => assert_eq!((resource, id), (missed, missed_id)),
        other => panic!("{missed:?} {missed_id} was shown: {other:?}"),
    }
}

/// How many requests, jobs and media the caller finds of a user.
async fn rows(store: &Store, caller: Caller, user_id: Option<i64>) -> [usize; 3] {
    let (db, page) = (store.reader(), first_page());
    let requests = store::request::Filter {
        user_id,
        show_deleted: true,
        show_previews: true,
        ..Default::default()
    };
    let counted = store::request::count_all(db, caller, &requests).await;
    let requests = store::request::list(db, caller, &requests, &page).await;
    let requests = requests.unwrap().items.len();
    assert_eq!(total(counted.unwrap()), requests);
    let jobs = store::job::Filter {
        user_id,
        show_deleted: true,
        show_previews: true,
        ..Default::default()
    };
    let counted = store::job::count(db, caller, &jobs).await;
    let jobs = store::job::list(db, caller, &jobs, &page).await;
    let jobs = jobs.unwrap().items.len();
    assert_eq!(total(counted.unwrap()), jobs);
    let media = store::media::Filter {
        user_id,
        show_deleted: true,
        show_previews: true,
        ..Default::default()
    };
    let media = store::media::list(db, caller, &media, &page).await;
    [requests, jobs, media.unwrap().items.len()]
}

fn total<S>(counts: Vec<(S, i64)>) -> usize {
    let total: i64 = counts.iter().map(|(_, count)| count).sum();
    usize::try_from(total).unwrap()
}
