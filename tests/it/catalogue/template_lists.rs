//! Lists of templates: their filters and orders, and the indexes that serve them.

use std::collections::BTreeSet;

use atelier::domain::{Caller, Sealer};
use atelier::entity::template;
use atelier::rpc::proto::{
    CreateTemplateRequest, DeleteFeatureRequest, ErrorReason, ListFeaturesRequest,
    ListTemplatesRequest, Template, TemplateOrder, UndeleteFeatureRequest, UpdateTemplateRequest,
};
use atelier::store::PageRequest;
use atelier::store::template::{Filter, Ranking, select};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, QueryFilter,
    QuerySelect, QueryTrait, Statement, sea_query::Expr,
};
use tonic::Code;

use crate::support::client::plain_template;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::refusal::refusal;
use crate::support::server::TestServer;

on_both_databases! {
    async fn templates_are_found_by_what_is_asked_of_them(db: TestDatabase) {
        let shelf = Shelf::fill(&db).await;
        let all = shelf.filter();
        for (filter, expected) in [
            (ListTemplatesRequest { tags: texts(["tết", "hè"]), ..all.clone() }, "b"),
            (ListTemplatesRequest { any_tags: texts(["tết", "hè"]), ..all.clone() }, "a b c"),
            (ListTemplatesRequest { any_tags: texts(["đông", "x\"},{"]), ..all.clone() }, "d"),
            (ListTemplatesRequest { tags: texts(["tết"]), any_tags: texts(["hè", "đông"]), ..all.clone() }, "b"),
            (ListTemplatesRequest { any_tags: texts(["none"]), ..all.clone() }, ""),
            (ListTemplatesRequest { is_trending: Some(true), ..all.clone() }, "b d"),
            (ListTemplatesRequest { is_trending: Some(false), ..all.clone() }, "a c e"),
            (ListTemplatesRequest { is_active: Some(true), is_trending: Some(true), ..all.clone() }, "b"),
            (ListTemplatesRequest { text: "giảm".to_owned(), ..all.clone() }, "a c"),
            (ListTemplatesRequest { text: "SALE".to_owned(), ..all.clone() }, "b"),
            (ListTemplatesRequest { text: "100%_".to_owned(), ..all.clone() }, "e"),
            (ListTemplatesRequest { text: "_".to_owned(), ..all.clone() }, "e"),
            (ListTemplatesRequest { feature_id: shelf.feature + 1, ..all.clone() }, ""),
        ] {
            assert_eq!(shelf.names(filter.clone()).await, expected, "{filter:?}");
        }
    }

    async fn texts_and_tags_are_compared_without_case_and_in_one_form(db: TestDatabase) {
        let shelf = Shelf::fill(&db).await;
        let decomposed = "Pho\u{31b}\u{309} Đặc Biệt 50%_!";
        for (name, description, tag) in [
            ("f", decomposed, "Khai Trương"),
            ("g", "phở đặc biệt 50x!", "khai tru\u{31b}o\u{31b}ng"),
            ("h", "pho dac biet", "khai truong"),
        ] {
            let template = CreateTemplateRequest {
                description: description.to_owned(),
                tags: texts([tag]),
                ..plain_template(shelf.feature, name)
            };
            let made = shelf.server.add_template(template).await;
            assert_eq!((made.description.as_str(), made.tags), (description, texts([tag])));
        }
        let all = ListTemplatesRequest { page_size: 1, ..shelf.filter() };
        for (text, expected) in [
            ("PHỞ", "f g"),
            ("phở đặc", "f g"),
            ("PHO\u{31b}\u{309} Đ", "f g"),
            ("ＰＨỞ", "f g"),
            ("biệt 50%_!", "f"),
            ("pho", "h"),
            ("GIẢM", "a c"),
            ("GIA\u{309}M", "a c"),
            ("giam", ""),
        ] {
            let filter = ListTemplatesRequest { text: text.to_owned(), ..all.clone() };
            assert_eq!(shelf.names(filter).await, expected, "{text}");
        }
        for (tags, expected) in [
            (["KHAI TRƯƠNG"], "f g"),
            (["khai trương"], "f g"),
            (["Khai Tru\u{31b}o\u{31b}ng"], "f g"),
            (["KHAI TRUONG"], "h"),
            (["TẾT"], "a b"),
            (["khai"], ""),
        ] {
            let filter = ListTemplatesRequest { tags: texts(tags), ..all.clone() };
            assert_eq!(shelf.names(filter).await, expected, "{tags:?}");
            let filter = ListTemplatesRequest { any_tags: texts(tags), ..all.clone() };
            assert_eq!(shelf.names(filter).await, expected, "any of {tags:?}");
        }
    }

    async fn what_was_deleted_and_came_back_is_found_and_what_was_changed_is_found_by_what_it_is(db: TestDatabase) {
        let shelf = Shelf::fill(&db).await;
        let sale = ListTemplatesRequest { text: "SALE".to_owned(), tags: texts(["HÈ"]), ..shelf.filter() };
        let server = &shelf.server;
        let feature = DeleteFeatureRequest { id: shelf.feature, ..Default::default() };
        server.features().delete_feature(feature).await.unwrap();
        assert_eq!(shelf.names(ListTemplatesRequest { show_deleted: true, ..sale.clone() }).await, "b");
        let feature = UndeleteFeatureRequest { id: shelf.feature };
        server.features().undelete_feature(feature).await.unwrap();
        assert_eq!(shelf.names(sale.clone()).await, "b");

        let found = server.templates().list_templates(sale.clone()).await.unwrap().into_inner();
        let template = Template { tags: texts(["Đông"]), description: "Hết hàng".to_owned(), ..found.templates[0].clone() };
        let update_mask = Some(prost_types::FieldMask { paths: texts(["tags", "description"]) });
        let update = UpdateTemplateRequest { template: Some(template), update_mask, ..Default::default() };
        server.templates().update_template(update).await.unwrap();
        assert_eq!(shelf.names(sale.clone()).await, "");
        let new = ListTemplatesRequest { text: "HẾT".to_owned(), tags: texts(["ĐÔNG"]), ..shelf.filter() };
        assert_eq!(shelf.names(new).await, "b");
        // Nothing of this left anything to be folded.
        assert_eq!(unfolded(&db).await, 0);
    }

    async fn what_an_older_program_writes_beside_this_one_is_found_at_once(db: TestDatabase) {
        let shelf = Shelf::fill(&db).await;
        let database = db.connect().await;
        let tags = match database.get_database_backend() {
            DbBackend::Postgres => "ARRAY['Mùa Xuân']",
            _ => "'[\"Mùa Xuân\"]'",
        };
        // Its statements know no column of a later migration.
        for statement in [
            format!("UPDATE generation_templates SET description = 'PHỞ', tags = {tags}, version = version + 1 WHERE name = 'a'"),
            format!("INSERT INTO generation_templates (feature_id, name, description, template_data, tags)
                     VALUES ({}, 'new', 'Phở', '{{}}', {tags})", shelf.feature),
            "UPDATE generation_templates SET deleted_at = '2026-01-01T00:00:00+00:00', version = version + 1 WHERE name = 'c'".to_owned(),
            "UPDATE generation_features SET description = 'BÚN BÒ', version = version + 1".to_owned(),
        ] {
            database.execute_unprepared(&statement).await.unwrap();
        }
        let by_text = ListTemplatesRequest { text: "phở".to_owned(), ..shelf.filter() };
        assert_eq!(shelf.names(by_text).await, "a new");
        let by_tag = ListTemplatesRequest { tags: texts(["mùa xuân"]), ..shelf.filter() };
        assert_eq!(shelf.names(by_tag).await, "a new");
        let deleted = ListTemplatesRequest { text: "ĐANG".to_owned(), show_deleted: true, ..shelf.filter() };
        assert_eq!(shelf.names(deleted).await, "c");
        assert_eq!(unfolded(&db).await, 0);
        let features = ListFeaturesRequest { text: "bún bò".to_owned(), ..Default::default() };
        let found = shelf.server.features().list_features(features).await.unwrap().into_inner();
        assert_eq!(found.features.len(), 1);
    }

    async fn what_was_there_before_the_migration_is_folded_when_a_server_starts(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        server.stop().await;
        let many = format!(
            "INSERT INTO generation_templates (feature_id, name, description, template_data)
             SELECT {feature}, 'template_' || n, 'Trà ' || n, '{{}}' FROM numbers"
        );
        let numbers = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1234) ";
        db.execute(&format!("{numbers} {many}")).await;
        assert_eq!(unfolded(&db).await, 1234);
        let server = TestServer::start_api(&db).await;
        assert_eq!(unfolded(&db).await, 0);
        let found = ListTemplatesRequest { text: "TRÀ 1234".to_owned(), ..Default::default() };
        let found = server.templates().list_templates(found).await.unwrap().into_inner();
        assert_eq!(found.templates.len(), 1);
    }

    async fn every_order_is_kept_by_pages_of_any_size(db: TestDatabase) {
        let shelf = Shelf::fill(&db).await;
        for (order, expected) in [
            (TemplateOrder::Unspecified, "a b c d e"),
            (TemplateOrder::Display, "a b c d e"),
            (TemplateOrder::Popularity, "d c e b a"),
            (TemplateOrder::Newest, "e d c b a"),
        ] {
            for page_size in [1, 2, 3, 4, 5, 6] {
                let filter = ListTemplatesRequest { order: order.into(), page_size, ..shelf.filter() };
                assert_eq!(shelf.names(filter).await, expected, "{order:?} by {page_size}");
            }
        }
    }

    async fn a_token_belongs_to_the_order_and_every_filter(db: TestDatabase) {
        let shelf = Shelf::fill(&db).await;
        let first = ListTemplatesRequest { page_size: 1, ..shelf.filter() };
        let page = shelf.server.templates().list_templates(first.clone()).await.unwrap();
        let next = ListTemplatesRequest { page_token: page.into_inner().next_page_token, ..first };
        for other in [
            ListTemplatesRequest { order: TemplateOrder::Popularity.into(), ..next.clone() },
            ListTemplatesRequest { order: TemplateOrder::Newest.into(), ..next.clone() },
            ListTemplatesRequest { text: "a".to_owned(), ..next.clone() },
            ListTemplatesRequest { tags: texts(["tết"]), ..next.clone() },
            ListTemplatesRequest { any_tags: texts(["tết"]), ..next.clone() },
            ListTemplatesRequest { is_trending: Some(false), ..next.clone() },
        ] {
            refusal(shelf.server.templates().list_templates(other).await)
                .is(Code::InvalidArgument, ErrorReason::InvalidPageToken);
        }
        let same = ListTemplatesRequest { order: TemplateOrder::Display.into(), ..next };
        shelf.server.templates().list_templates(same).await.unwrap();
    }

    async fn a_filter_without_bounds_is_refused(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let wrong = ListTemplatesRequest {
            page_size: -1,
            feature_id: -1,
            tags: texts(["a\0", "b"]),
            any_tags: vec!["a".to_owned(); 33],
            text: "x\0".to_owned(),
            order: 99,
            ..Default::default()
        };
        refusal(server.templates().list_templates(wrong).await)
            .of_fields(["page_size", "feature_id", "tags[0]", "any_tags", "text", "order"]);
    }
}

/// How many templates a search would not know.
async fn unfolded(db: &TestDatabase) -> u64 {
    let rows = template::Entity::find().all(&db.connect().await).await;
    let unfolded = |row: &&template::Model| row.search_version != Some(row.version);
    rows.unwrap().iter().filter(unfolded).count() as u64
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

/// A server with five templates, `a` to `e` in display order.
struct Shelf {
    server: TestServer,
    feature: i64,
}

impl Shelf {
    async fn fill(db: &TestDatabase) -> Self {
        let server = TestServer::start_api(db).await;
        let feature = server.scripted_feature().await;
        let database = db.connect().await;
        for (name, description, tags, (trending, score, uses)) in [
            ("a", "giảm giá", texts(["tết"]), (false, 1, 0)),
            ("b", "Sale", texts(["hè", "tết"]), (true, 5, 1)),
            ("c", "Đang giảm", texts(["hè"]), (false, 9, 2)),
            ("d", "", texts(["x\"},{"]), (true, 9, 3)),
            ("e", "100%_", vec![], (false, 5, 1)),
        ] {
            let template = CreateTemplateRequest {
                description: description.to_owned(),
                tags,
                is_active: Some(name != "d"),
                ..plain_template(feature, name)
            };
            let row = template::ActiveModel {
                id: Set(server.add_template(template).await.id),
                is_trending: Set(trending),
                trend_score: Set(score),
                usage_count: Set(uses),
                ..Default::default()
            };
            template::Entity::update(row).exec(&database).await.unwrap();
        }
        Self { server, feature }
    }

    fn filter(&self) -> ListTemplatesRequest {
        ListTemplatesRequest {
            feature_id: self.feature,
            ..Default::default()
        }
    }

    /// Names of all templates that the filter shows, page by page.
    async fn names(&self, mut request: ListTemplatesRequest) -> String {
        let mut found: Vec<Template> = Vec::new();
        loop {
            let page = self
                .server
                .templates()
                .list_templates(request.clone())
                .await;
            let page = page.unwrap().into_inner();
            found.extend(page.templates);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        let ids: BTreeSet<i64> = found.iter().map(|template| template.id).collect();
        assert_eq!(ids.len(), found.len());
        let names: Vec<_> = found.into_iter().map(|template| template.name).collect();
        names.join(" ")
    }
}

/// The plans of the very queries that ListTemplates makes, over many templates of which few are trending.
#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_the_indexes_of_the_specification_serve_the_lists() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let server = TestServer::start_api(&db).await;
    let feature = server.scripted_feature().await;
    let database = db.connect().await;
    let many = format!(
        "INSERT INTO generation_templates
             (feature_id, name, template_data, is_trending, trend_score, usage_count, search_tags, search_version, is_active)
         SELECT {feature}, 'template_' || n, '{{}}', n % 50 = 0, n * 7919 % 10007, n % 31,
                ARRAY['all', 'tag_' || n % 1000], 1, n % 10 > 0
         FROM generate_series(1, 20000) AS n"
    );
    database.execute_unprepared(&many).await.unwrap();
    let analyze = "ANALYZE generation_templates";
    database.execute_unprepared(analyze).await.unwrap();

    let trending = Filter {
        is_trending: Some(true),
        ..Filter::default()
    };
    let popular = Filter {
        is_active: Some(true),
        ..Filter::default()
    };
    let all_tags = Filter {
        tags: texts(["all", "tag_7"]),
        ..Filter::default()
    };
    let any_tags = Filter {
        any_tags: texts(["tag_7", "tag_8"]),
        ..Filter::default()
    };
    let sealer = db.sealer(Caller::TrustedService).await;
    let second_page = next_page(
        &server,
        ListTemplatesRequest {
            is_trending: Some(true),
            order: TemplateOrder::Popularity.into(),
            ..Default::default()
        },
    );
    let second_page = second_page.await;
    for (filter, ranking, token, index) in [
        (
            &trending,
            Ranking::Popularity,
            "",
            "idx_generation_templates_trending",
        ),
        (
            &trending,
            Ranking::Popularity,
            &*second_page,
            "idx_generation_templates_trending",
        ),
        (
            &popular,
            Ranking::Popularity,
            "",
            "idx_generation_templates_popularity",
        ),
        (
            &all_tags,
            Ranking::Display,
            "",
            "idx_generation_templates_search_tags",
        ),
        (
            &any_tags,
            Ranking::Popularity,
            "",
            "idx_generation_templates_search_tags",
        ),
    ] {
        let query = query(filter, ranking, token, &sealer);
        for plan in [
            plan(&database, query.clone()).await,
            generic_plan(&database, query).await,
        ] {
            assert!(plan.contains(index), "{filter:?}:\n{plan}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_search_has_to_fold_is_found_without_walking_over_all_templates() {
    for (backend, explain) in [
        (Backend::Postgres, "EXPLAIN"),
        (Backend::Sqlite, "EXPLAIN QUERY PLAN"),
    ] {
        let db = TestDatabase::create(backend).await;
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let database = db.connect().await;
        let many = format!(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20000)
             INSERT INTO generation_templates (feature_id, name, template_data, search_version)
             SELECT {feature}, 'template_' || n, '{{}}', 1 FROM numbers"
        );
        // As SeaORM counts.
        let count = template::Entity::find()
            .select_only()
            .column(template::Column::Id)
            .filter(Expr::cust(match database.get_database_backend() {
                DbBackend::Postgres => "search_version IS DISTINCT FROM version",
                _ => "search_version IS NOT version",
            }));
        for statement in [&many, "ANALYZE"] {
            database.execute_unprepared(statement).await.unwrap();
        }
        let count = count.build(database.get_database_backend());
        let explained = Statement {
            sql: format!("{explain} SELECT COUNT(*) FROM ({}) AS found", count.sql),
            ..count
        };
        let rows = database.query_all_raw(explained).await.unwrap();
        let plan: Vec<String> = rows
            .iter()
            .map(|row| match backend {
                Backend::Postgres => row.try_get_by_index(0).unwrap(),
                Backend::Sqlite => row.try_get_by_index(3).unwrap(),
            })
            .collect();
        let plan = plan.join("\n");
        assert!(plan.contains("idx_generation_templates_unfolded"), "{plan}");
    }
}

/// The token of the page after the first.
async fn next_page(server: &TestServer, request: ListTemplatesRequest) -> String {
    let page = server.templates().list_templates(request).await.unwrap();
    page.into_inner().next_page_token
}

fn query(filter: &Filter, ranking: Ranking, token: &str, sealer: &Sealer) -> Statement {
    let page = PageRequest {
        size: 50,
        token: token.to_owned(),
        sealer: sealer.clone(),
    };
    let query = select(DbBackend::Postgres, filter, ranking, &page).unwrap();
    query.build(DbBackend::Postgres)
}

/// The plan for these values.
async fn plan(database: &DatabaseConnection, query: Statement) -> String {
    let explained = Statement {
        sql: format!("EXPLAIN {}", query.sql),
        ..query
    };
    lines(database, explained).await
}

/// The plan for any values, which the server changes to when it has seen a statement often.
async fn generic_plan(database: &DatabaseConnection, query: Statement) -> String {
    let count = query.values.as_ref().map_or(0, |values| values.0.len());
    let nulls = vec!["NULL"; count].join(", ");
    // Not what is quickest over so few rows is asked here, but what can be used at all.
    for statement in [
        "SET plan_cache_mode = force_generic_plan",
        "SET enable_seqscan = off",
        &format!("PREPARE list AS {}", query.sql),
    ] {
        database.execute_unprepared(statement).await.unwrap();
    }
    let explain = format!("EXPLAIN EXECUTE list({nulls})");
    let plan = lines(
        database,
        Statement::from_string(DbBackend::Postgres, explain),
    )
    .await;
    let reset = "DEALLOCATE list; RESET ALL";
    database.execute_unprepared(reset).await.unwrap();
    plan
}

async fn lines(database: &DatabaseConnection, explain: Statement) -> String {
    let rows = database.query_all_raw(explain).await.unwrap();
    let line = |row: sea_orm::QueryResult| row.try_get_by_index::<String>(0).unwrap();
    rows.into_iter().map(line).collect::<Vec<_>>().join("\n")
}
