//! How often templates are used and viewed, and which are trending: counted once, folded by one replica at a time.

use atelier::domain::Error;
use atelier::entity::{template, template_tally, template_view};
use atelier::rpc::proto::{
    CreateRequestRequest, ErrorReason, GetTemplateRequest, RecordTemplateViewRequest, Template,
};
use atelier::store;
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, Statement,
    TransactionTrait,
};
use tonic::{Code, Status};

use crate::support::client::{Client, USER, plain_template, request_for};
use crate::support::clocked::ClockedServer;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::refusal::refusal;
use crate::support::server::{TestServer, within};

const CALLS: i64 = 50;

on_both_databases! {
    async fn uses_and_views_on_two_replicas_that_fold_all_the_time_count_once_each(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let other = server.beside(&db).await;
        let templates = add_templates(&server, 3).await;
        let calls = async {
            let calls = (0..CALLS).map(|call| {
                let (server, template) = (if call % 2 == 0 { &server } else { &other }, &templates[call as usize % 3]);
                async move {
                    use_template(server, template).await;
                    assert_eq!(view(server, template.id, USER + call).await, Ok(true));
                }
            });
            join_all(calls).await;
        };
        let folding = async |replica: &ClockedServer| loop {
            replica.app.fold_trends().await.unwrap();
            tokio::task::yield_now().await;
        };
        tokio::select! {
            () = within(calls) => {}
            () = folding(&server) => {}
            () = folding(&other) => {}
        }
        fold_all(&server, &db).await;

        let found = join_all(templates.iter().map(|template| get(&server, template.id))).await;
        let counts: Vec<_> = found.iter().map(|found| (found.usage_count, found.view_count)).collect();
        assert_eq!(counts, [(17, 17), (17, 17), (16, 16)]);
        let scores: Vec<_> = found.iter().map(|found| (found.trend_score, found.is_trending)).collect();
        assert_eq!(scores, [(102, true), (102, true), (96, true)]);
        assert_eq!(tallies(&db).await, 0);
        let unchanged = (&found[0].update_time, version(&db, found[0].id).await);
        assert_eq!(unchanged, (&templates[0].update_time, 1));
    }

    async fn a_view_counts_once_for_each_user_template_and_day(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let [first, second] = &add_templates(&server, 2).await[..] else { panic!() };
        // The clock starts at eight in the morning.
        for (template, user, counted) in [
            (first.id, USER, true), (first.id, USER, false), (second.id, USER, true), (first.id, USER + 1, true),
        ] {
            assert_eq!(view(&server, template, user).await, Ok(counted));
        }
        server.pass(TimeDelta::hours(16) - TimeDelta::microseconds(1));
        assert_eq!(view(&server, first.id, USER).await, Ok(false));
        server.pass(TimeDelta::microseconds(1));
        assert_eq!(view(&server, first.id, USER).await, Ok(true));
        fold(&server).await;
        assert_eq!(get(&server, first.id).await.view_count, 3);
        assert_eq!(get(&server, second.id).await.view_count, 1);
    }

    async fn the_same_view_at_the_same_moment_counts_once(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let template = add_templates(&server, 1).await.remove(0);
        let views = within(join_all((0..20).map(|_| view(&server, template.id, USER)))).await;
        assert_eq!(views.iter().filter(|counted| **counted == Ok(true)).count(), 1, "{views:?}");
        assert_eq!(views.iter().filter(|counted| **counted == Ok(false)).count(), 19);
        fold(&server).await;
        assert_eq!(get(&server, template.id).await.view_count, 1);
    }

    async fn views_before_yesterday_are_forgotten(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let template = add_templates(&server, 1).await.remove(0);
        for expected in [1, 2, 2] {
            view(&server, template.id, USER).await.unwrap();
            fold(&server).await;
            let connection = db.connect().await;
            let kept = template_view::Entity::find().count(&connection).await.unwrap();
            assert_eq!(kept, expected);
            server.pass(TimeDelta::days(1));
        }
        assert_eq!(get(&server, template.id).await.view_count, 3);
    }

    async fn only_a_live_template_is_viewed_and_only_by_a_user(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let template = add_templates(&server, 1).await.remove(0);
        let record = async |template_id, user_id| {
            let request = RecordTemplateViewRequest { id: template_id, user_id, ..Default::default() };
            refusal(server.templates().record_template_view(request).await)
        };
        record(0, -1).await.of_fields(["id", "user_id"]);
        record(i64::MIN, i64::MAX).await.of_fields(["id"]);
        let unknown = record(4_711, USER).await;
        unknown.is(Code::NotFound, ErrorReason::TemplateNotFound).with("template_id", 4_711);
        change(&db, template::ActiveModel {
            id: Set(template.id),
            deleted_at: Set(Some(DateTime::UNIX_EPOCH)),
            ..Default::default()
        }).await;
        let deleted = record(template.id, USER).await;
        deleted.is(Code::NotFound, ErrorReason::TemplateNotFound).with("template_id", template.id);
    }

    async fn what_is_no_new_request_is_no_use(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let template = add_templates(&server, 1).await.remove(0);
        let keyed = CreateRequestRequest {
            template_id: Some(template.id),
            idempotency_key: "order-17".to_owned(),
            ..request_for(template.feature_id)
        };
        let calls = (0..20).map(|_| server.create(keyed.clone()));
        within(join_all(calls)).await;
        let refused = CreateRequestRequest { user_prompt: String::new(), idempotency_key: String::new(), ..keyed };
        server.requests().create_request(refused).await.unwrap_err();
        server.create(request_for(template.feature_id)).await;
        fold(&server).await;
        assert_eq!(get(&server, template.id).await.usage_count, 1);
    }

    async fn a_score_decays_to_half_in_two_days_and_the_template_stops_trending(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let template = add_templates(&server, 1).await.remove(0);
        for _ in 0..12 {
            use_template(&server, &template).await;
        }
        let mut seen = Vec::new();
        // A template that is in use and decays is weighed anew, and one that nobody uses as well.
        for pause in [0, 6, 42, 48, 48, 24 * 30] {
            server.pass(TimeDelta::hours(pause));
            fold(&server).await;
            let found = get(&server, template.id).await;
            seen.push((found.trend_score, found.is_trending));
        }
        assert_eq!(seen, [(60, true), (55, true), (30, false), (15, false), (8, false), (0, false)]);
        let folded = server.app.fold_trends().await.unwrap();
        assert!(folded.is_nothing(), "{folded:?}");
        assert_eq!(version(&db, template.id).await, 1);
    }

    async fn a_fold_writes_only_what_a_reader_sees(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let template = add_templates(&server, 1).await.remove(0);
        use_template(&server, &template).await;
        assert_eq!(written(&server).await, 1);
        // From 5 to 4.5 takes more than seven hours.
        server.pass(TimeDelta::hours(7));
        assert_eq!(written(&server).await, 0);
        server.pass(TimeDelta::hours(1));
        assert_eq!(written(&server).await, 1);
        assert_eq!(get(&server, template.id).await.trend_score, 4);
    }

    async fn a_window_opens_and_closes_as_time_goes_by(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let ids: Vec<i64> = add_templates(&server, 4).await.iter().map(|template| template.id).collect();
        let hour = |hours| Some(server.app.clock.now() + TimeDelta::hours(hours));
        set_window(&db, ids[0], hour(1), hour(2)).await;
        set_window(&db, ids[1], hour(2), None).await;
        set_window(&db, ids[2], None, hour(1)).await;
        let mut seen = Vec::new();
        for _ in 0..4 {
            fold(&server).await;
            let found = join_all(ids.iter().map(|id| get(&server, *id))).await;
            seen.push(found.iter().map(|found| found.is_trending).collect::<Vec<_>>());
            server.pass(TimeDelta::hours(1));
        }
        assert_eq!(seen, [
            [false, false, true, false],
            [true, false, false, false],
            [false, true, false, false],
            [false, true, false, false],
        ]);
        // A window that is taken away leaves nothing behind.
        set_window(&db, ids[1], None, None).await;
        fold(&server).await;
        assert!(!get(&server, ids[1]).await.is_trending);
        assert_eq!(version(&db, ids[1]).await, 1);
    }

    async fn a_fold_that_breaks_off_loses_nothing_and_doubles_nothing(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let template = add_templates(&server, 1).await.remove(0);
        use_template(&server, &template).await;
        let broken_off = server.app.store.write(async |tx| {
            assert!(store::trend::lock_fold(tx).await.unwrap());
            let taken = store::trend::take_tallies(tx, 10).await.unwrap();
            assert_eq!(taken.len(), 1);
            let mut locked = store::trend::lock(tx, &[template.id]).await.unwrap().remove(0);
            locked.usage_count += 1;
            store::trend::write(tx, &locked).await.unwrap();
            Err::<(), _>(Error::internal("broken off"))
        });
        broken_off.await.unwrap_err();

        assert_eq!(get(&server, template.id).await.usage_count, 0);
        assert_eq!(tallies(&db).await, 1);
        fold(&server).await;
        fold(&server).await;
        assert_eq!(get(&server, template.id).await.usage_count, 1);
    }

    async fn counters_stop_at_their_greatest_value_and_tallies_of_a_purged_template_go(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let template = add_templates(&server, 1).await.remove(0);
        for (template_id, uses) in [(template.id, i32::MAX), (template.id, 1), (4_711, 1)] {
            let tally = template_tally::ActiveModel {
                template_id: Set(template_id),
                uses: Set(uses),
                views: Set(0),
                created_at: Set(server.app.clock.now()),
                ..Default::default()
            };
            template_tally::Entity::insert(tally).exec(&db.connect().await).await.unwrap();
        }
        fold(&server).await;
        let found = get(&server, template.id).await;
        assert_eq!((found.usage_count, found.trend_score), (i64::from(i32::MAX), i32::MAX));
        assert_eq!(tallies(&db).await, 0);
    }

    async fn a_running_server_folds_by_itself(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.trends.fold_interval = std::time::Duration::from_millis(100);
            config.trends.threshold = 5;
        }).await;
        let template = add_templates(&server, 1).await.remove(0);
        use_template(&server, &template).await;
        within(async {
            while !get(&server, template.id).await.is_trending {
                tokio::task::yield_now().await;
            }
        }).await;
        server.stop().await;
    }

    async fn what_a_fold_looks_for_has_an_index(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        add_templates(&server, 1).await;
        let (explain, column) = match db.backend {
            Backend::Sqlite => ("EXPLAIN QUERY PLAN", "detail"),
            Backend::Postgres => ("EXPLAIN", "QUERY PLAN"),
        };
        let connection = db.connect().await;
        if db.backend == Backend::Postgres {
            // A table of one row is read whole otherwise.
            connection.execute_unprepared("SET enable_seqscan = off").await.unwrap();
        }
        for (condition, index) in [
            ("trend_weight > 0", "idx_generation_templates_trend_weight"),
            ("(trend_start_date IS NOT NULL OR trend_end_date IS NOT NULL)", "idx_generation_templates_trend_window"),
        ] {
            let sql = format!("{explain} SELECT id FROM generation_templates WHERE {condition} AND id > 0 ORDER BY id LIMIT 1000");
            let rows = connection.query_all_raw(Statement::from_string(connection.get_database_backend(), sql)).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.try_get("", column).unwrap()).collect();
            assert!(plan.iter().any(|line| line.contains(index)), "{plan:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn intake_waits_for_no_lock_on_the_template() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let server = ClockedServer::start(&db).await;
    let template = add_templates(&server, 1).await.remove(0);
    let connection = db.connect().await;
    let holder = connection.begin().await.unwrap();
    let lock = "SELECT id FROM generation_templates WHERE id = $1 FOR NO KEY UPDATE";
    let lock = Statement::from_sql_and_values(DbBackend::Postgres, lock, [template.id.into()]);
    holder.query_one_raw(lock).await.unwrap().unwrap();

    within(use_template(&server, &template)).await;
    assert_eq!(within(view(&server, template.id, USER)).await, Ok(true));
    holder.rollback().await.unwrap();
    fold(&server).await;
    let found = get(&server, template.id).await;
    assert_eq!((found.usage_count, found.view_count), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_folds_at_a_time_and_the_other_does_not_wait() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let server = ClockedServer::start(&db).await;
    let other = server.beside(&db).await;
    let template = add_templates(&server, 1).await.remove(0);
    use_template(&server, &template).await;
    let folding = server.app.store.write(async |tx| {
        assert!(store::trend::lock_fold(tx).await.unwrap());
        within(other.app.fold_trends()).await
    });
    let folded = folding.await.unwrap();
    assert!(folded.is_nothing(), "{folded:?}");
    fold(&other).await;
    assert_eq!(get(&server, template.id).await.usage_count, 1);
}

async fn fold(server: &ClockedServer) {
    within(server.app.fold_trends()).await.unwrap();
}

async fn written(server: &ClockedServer) -> usize {
    within(server.app.fold_trends()).await.unwrap().templates
}

async fn add_templates(client: &Client, count: usize) -> Vec<Template> {
    let feature = client.scripted_feature().await;
    let mut templates = Vec::new();
    for index in 0..count {
        let template = plain_template(feature, &format!("style-{index}"));
        templates.push(client.add_template(template).await);
    }
    templates
}

async fn use_template(client: &Client, template: &Template) {
    let request = CreateRequestRequest {
        template_id: Some(template.id),
        ..request_for(template.feature_id)
    };
    client.create(request).await;
}

async fn view(client: &Client, template_id: i64, user_id: i64) -> Result<bool, Code> {
    let request = RecordTemplateViewRequest {
        id: template_id,
        user_id,
        ..Default::default()
    };
    let recorded = client.templates().record_template_view(request).await;
    let counted = recorded.map(|recorded| recorded.into_inner().is_counted);
    counted.map_err(|status: Status| status.code())
}

async fn get(client: &Client, id: i64) -> Template {
    let found = client
        .templates()
        .get_template(GetTemplateRequest {
            id,
            ..Default::default()
        })
        .await;
    found.unwrap().into_inner().template.unwrap()
}

async fn tallies(db: &TestDatabase) -> u64 {
    let connection = db.connect().await;
    template_tally::Entity::find()
        .count(&connection)
        .await
        .unwrap()
}

async fn version(db: &TestDatabase, id: i64) -> i64 {
    let found = template::Entity::find_by_id(id)
        .one(&db.connect().await)
        .await;
    found.unwrap().unwrap().version
}

async fn set_window(
    db: &TestDatabase,
    id: i64,
    start: Option<DateTime<Utc>>,
    end: Option<DateTime<Utc>>,
) {
    change(
        db,
        template::ActiveModel {
            id: Set(id),
            trend_start_date: Set(start),
            trend_end_date: Set(end),
            ..Default::default()
        },
    )
    .await;
}

async fn change(db: &TestDatabase, changed: template::ActiveModel) {
    let connection = db.connect().await;
    template::Entity::update(changed)
        .exec(&connection)
        .await
        .unwrap();
}

/// Folds after one that was broken off, which keeps others out until its rollback has reached the database.
async fn fold_all(server: &ClockedServer, db: &TestDatabase) {
    within(async {
        while tallies(db).await > 0 {
            server.app.fold_trends().await.unwrap();
        }
    })
    .await;
}
