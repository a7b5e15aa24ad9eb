//! Identity's table of users, schemas, and the rights of roles.

use std::process::Output;

use atelier::rpc::proto::JobStatus;
use atelier::server::{Role, Server};
use tonic_health::pb::health_check_response::ServingStatus;
use url::Url;
use uuid::Uuid;

use crate::api::reflection::{wait_for, watch_health};
use crate::operations::health::{REQUESTS, ask, degrades, recovers};
use crate::support::client::request_for;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::process::{atelier, refused, run};
use crate::support::script::Script;
use crate::support::server::{TestServer, configuration, within};

const USER: i64 = 7;

on_both_databases! {
    async fn without_a_table_and_without_provisioning_nothing_is_made_and_the_way_out_is_told(db: TestDatabase) {
        let refusal = start_refused(&db, |config| config.identity.provision_users = Some(false)).await;
        assert!(refusal.contains("no table of users") && refusal.contains("identity.provision_users=true"), "{refusal}");
        let up = run(atelier(&db, &["migrate", "up", "--set", "identity.provision_users=false"])).await;
        refused(&up, &["no table of users", "identity.users_table"]);

        db.create_users().await;
        TestServer::start_with(&db, |config| config.identity.provision_users = Some(false)).await.stop().await;
    }

    async fn a_table_whose_rows_need_more_than_an_id_is_found_at_start(db: TestDatabase) {
        db.execute(
            "CREATE TABLE users (id BIGINT PRIMARY KEY, email VARCHAR(99) NOT NULL, name TEXT, kind TEXT NOT NULL DEFAULT 'a')",
        ).await;
        let refusal = start_refused(&db, |_| ()).await;
        assert!(refusal.contains("(email)") && refusal.contains("identity.provision_users"), "{refusal}");
        TestServer::start_with(&db, |config| config.identity.provision_users = Some(false)).await.stop().await;
    }

    async fn users_may_stand_in_a_table_of_another_name(db: TestDatabase) {
        db.execute("CREATE TABLE people (id BIGINT PRIMARY KEY)").await;
        let named = |config: &mut atelier::config::Config| {
            config.identity.users_table = Some(atelier::domain::TableName::unqualified("people"));
        };
        let server = TestServer::start_with(&db, named).await;
        let feature = server.scripted_feature().await;
        assert_eq!(server.create(request_for(feature)).await.0.user_id, USER);
        server.stop().await;
        assert_eq!(db.texts("SELECT CAST(id AS TEXT) FROM people").await, ["7"]);

        let refusal = start_refused(&db, |_| ()).await;
        assert!(refusal.contains("people"), "{refusal}");
        let other = start_refused(&db, |config| {
            config.identity.users_table = Some(atelier::domain::TableName::unqualified("nobody"));
        }).await;
        assert!(other.contains("nobody"), "{other}");
    }

    async fn what_users_lack_to_be_referred_to_is_told_before_anything_is_made(db: TestDatabase) {
        let of_postgres = [
            ("TABLE users (id TEXT PRIMARY KEY)", "it is of type text"),
            ("TABLE users (id UUID PRIMARY KEY)", "it is of type uuid"),
            ("TABLE users (id BIGINT, UNIQUE (id) INCLUDE (email), email TEXT)", ""),
        ];
        let of_both = [
            ("TABLE users (id BIGINT, email TEXT, UNIQUE (id))", ""),
            ("TABLE users (id BIGINT, email TEXT)", "it has none"),
            ("TABLE users (id BIGINT, email TEXT, PRIMARY KEY (id, email))", "it has none"),
            ("TABLE users (email TEXT)", "there is no such column"),
            ("VIEW users AS SELECT CAST(7 AS BIGINT) AS id", "it is not a column of a table"),
        ];
        let (of_postgres, table_name) = match db.backend {
            Backend::Postgres => (&of_postgres[..], "public.users.id"),
            Backend::Sqlite => (&[][..], " users.id"),
        };
        for (table, fault) in of_postgres.iter().chain(&of_both) {
            db.execute(&format!("CREATE {table}")).await;
            let up = run(atelier(&db, &["migrate", "up", "--steps", "1"])).await;
            if fault.is_empty() {
                assert!(up.status.success(), "{up:?}");
                let down = run(atelier(&db, &["migrate", "down", "--yes"])).await;
                assert!(down.status.success(), "{down:?}");
            } else {
                refused(&up, &[table_name, fault]);
            }
            let kind = table.split(' ').next().unwrap();
            db.execute(&format!("DROP {kind} users")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_found_along_the_search_path_and_our_tables_go_into_our_schema() {
    let db = TestDatabase::create(Backend::Postgres).await;
    db.execute(
        "CREATE SCHEMA identity; CREATE TABLE identity.users (id BIGINT PRIMARY KEY, email TEXT NOT NULL);
         INSERT INTO identity.users VALUES (7, 'a@example.com');",
    )
    .await;
    let database = db.texts("SELECT current_database()::text").await.remove(0);
    db.execute(&format!(
        "ALTER DATABASE {database} SET search_path = public, identity"
    ))
    .await;
    let server = TestServer::start_with(&db, |config| {
        config.identity.provision_users = None;
        config.database.schema = Some("Atelier".to_owned());
    })
    .await;
    let feature = server.scripted_feature().await;
    let mut known = request_for(feature);
    known.user_id = USER;
    assert_eq!(server.create(known).await.0.user_id, USER);
    server.stop().await;

    let tables = db
        .texts("SELECT DISTINCT schemaname::text || ' ' || (count(*) OVER (PARTITION BY schemaname) > 5) FROM pg_tables
                WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1")
        .await;
    assert_eq!(tables, ["Atelier true", "identity false"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_named_no_more_is_not_taken_for_an_empty_database() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let named = |config: &mut atelier::config::Config| {
        config.database.schema = Some("Atelier".to_owned());
    };
    TestServer::start_with(&db, named).await.stop().await;
    let refusal = start_refused(&db, |_| ()).await;
    assert!(
        refusal.contains("set database.schema to Atelier"),
        "{refusal}"
    );
    for arguments in [
        &["migrate", "status"][..],
        &["migrate", "up"],
        &["storage", "status"],
    ] {
        let output = run(atelier(&db, arguments)).await;
        refused(&output, &["set database.schema to Atelier"]);
    }
    let tables =
        "SELECT DISTINCT schemaname::text FROM pg_tables WHERE tablename = 'generation_requests'";
    assert_eq!(db.texts(tables).await, ["Atelier"]);

    TestServer::start_with(&db, named).await.stop().await;
    // Whoever names another one means it.
    let second = |config: &mut atelier::config::Config| {
        config.database.schema = Some("public".to_owned());
    };
    TestServer::start_with(&db, second).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_may_stand_in_a_table_of_another_schema_that_is_named() {
    let db = TestDatabase::create(Backend::Postgres).await;
    db.execute("CREATE SCHEMA identity; CREATE TABLE identity.accounts (id BIGINT PRIMARY KEY)")
        .await;
    let server = TestServer::start_with(&db, |config| {
        config.identity.users_table = Some(atelier::domain::TableName {
            schema: Some("identity".to_owned()),
            name: "accounts".to_owned(),
        });
    })
    .await;
    let feature = server.scripted_feature().await;
    server.create(request_for(feature)).await;
    server.stop().await;
    assert_eq!(
        db.texts("SELECT id::text FROM identity.accounts").await,
        ["7"]
    );
    assert_eq!(
        db.texts("SELECT CAST(to_regclass('public.users') IS NULL AS TEXT)")
            .await,
        ["true"]
    );
    let moved = start_refused(&db, |config| {
        config.database.schema = Some("other".to_owned());
    })
    .await;
    assert!(moved.contains("set database.schema to public"), "{moved}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_users_that_cannot_be_referred_to_is_told_with_its_detail_and_no_line_of_c() {
    let db = TestDatabase::create(Backend::Postgres).await;
    db.execute("CREATE TABLE users (id MONEY PRIMARY KEY)")
        .await;
    let up = run(atelier(&db, &["migrate", "up"])).await;
    refused(
        &up,
        &["incompatible types: bigint and money", "SQLSTATE 42804"],
    );
    assert!(!text(&up.stderr).contains("at line"), "{up:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_may_not_refer_to_users_is_told_the_right_before_anything_is_made() {
    let db = TestDatabase::create(Backend::Postgres).await;
    db.create_users().await;
    let role = Roles::create(&db).await;
    let owner = role.name("owner");
    db.execute(&format!("GRANT USAGE, CREATE ON SCHEMA public TO {owner}"))
        .await;
    let grant = format!("GRANT REFERENCES ON TABLE public.users TO {owner}");
    refused(&role.run("owner", &["migrate", "up"]).await, &[&grant]);
    db.execute(&grant).await;
    let up = role.run("owner", &["migrate", "up"]).await;
    assert!(up.status.success(), "{up:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_migrates_and_a_role_with_the_least_rights_serves() {
    let db = TestDatabase::create(Backend::Postgres).await;
    db.execute(
        "CREATE TABLE users (id BIGINT PRIMARY KEY, email TEXT); INSERT INTO users VALUES (7)",
    )
    .await;
    let role = Roles::create(&db).await;
    let (owner, runtime) = (role.name("owner"), role.name("runtime"));
    db.execute(&format!(
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT USAGE, CREATE ON SCHEMA public TO {owner}; GRANT REFERENCES ON users TO {owner};
         GRANT SELECT (id) ON users TO {owner}"
    ))
    .await;
    let early = role.serve("runtime").await;
    refused(
        &early,
        &["m0001_domain", "GRANT CREATE ON SCHEMA public", &runtime],
    );
    let up = role.run("owner", &["migrate", "up"]).await;
    assert!(up.status.success(), "{}", text(&up.stderr));

    refused(
        &role.serve("runtime").await,
        &["seaql_migrations", "GRANT SELECT"],
    );
    db.execute(&format!(
        "GRANT SELECT ON seaql_migrations, atelier_migrations TO {runtime}"
    ))
    .await;
    refused(
        &role.serve("runtime").await,
        &[
            "SELECT, INSERT, UPDATE, DELETE on TABLE public.generation_jobs",
            &format!("GRANT SELECT (id) ON TABLE users TO {runtime};"),
            &format!("GRANT USAGE ON SEQUENCE public.generation_jobs_id_seq TO {runtime};"),
        ],
    );

    // What the documents say.
    db.execute(&least_privilege(&owner, &runtime)).await;
    let url = role.url("runtime");
    let server = TestServer::start_with(&db, |config| {
        config.database.url = url.parse().unwrap();
        config.identity.provision_users = Some(true);
    })
    .await;
    // Kept: its folder goes with it, and the job fails then.
    let script = Script::new(&[]);
    let job = server.create_scripted(&script).await;
    within(async {
        while server.job(job.id).await.status() != JobStatus::Completed {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let up = role.run("runtime", &["migrate", "up"]).await;
    assert_eq!(text(&up.stdout), "nothing to do\n", "{up:?}");
    let mut unknown = request_for(job.feature_id);
    unknown.user_id = 99;
    let refusal = server.requests().create_request(unknown).await.unwrap_err();
    assert_eq!(
        refusal.code(),
        tonic::Code::FailedPrecondition,
        "{refusal:?}"
    );
    let says = refusal.message();
    assert!(
        says.contains("does not let the service add users") && !says.contains("provision_users"),
        "{says}"
    );
    server.stop().await;

    db.execute(&format!(
        "REVOKE USAGE ON SCHEMA public FROM PUBLIC, {runtime}"
    ))
    .await;
    refused(
        &role.serve("runtime").await,
        &["GRANT USAGE ON SCHEMA public"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_from_a_running_server_is_told_by_its_health() {
    let db = TestDatabase::create(Backend::Postgres).await;
    db.create_users().await;
    let role = Roles::create(&db).await;
    let migrated = run(atelier(&db, &["migrate", "up"])).await;
    assert!(migrated.status.success(), "{migrated:?}");
    let runtime = role.name("runtime");
    db.execute(&least_privilege(&role.name("owner"), &runtime))
        .await;
    let url = role.url("runtime");
    let server = TestServer::start_with(&db, |config| {
        config.database.url = url.parse().unwrap();
    })
    .await;
    let change = async |verb: &str, right: &str, preposition: &str| {
        let table = "generation_requests";
        db.execute(&format!(
            "{verb} {right} ON {table} {preposition} {runtime}"
        ))
        .await;
    };
    change("REVOKE", "INSERT", "FROM").await;
    degrades(&server, "database_unwritable", REQUESTS).await;
    change("GRANT", "INSERT", "TO").await;
    recovers(&server, REQUESTS).await;

    change("REVOKE", "SELECT", "FROM").await;
    let mut health = watch_health(&server, "").await;
    wait_for(&mut health, ServingStatus::NotServing).await;
    let (_, words) = ask(&server.url(), "readyz").await;
    assert!(
        words.starts_with("unavailable\nschema_unknown: "),
        "{words}"
    );
    server.stop().await;
}

/// The statements of the page on operating it, for these roles.
fn least_privilege(owner: &str, runtime: &str) -> String {
    let page = include_str!("../../../docs/operations.md");
    let section = page.split("## Least privilege").nth(1).unwrap();
    let statements = section.split("```sql").nth(2).unwrap();
    let statements = statements.split("```").next().unwrap();
    statements
        .replace("atelier_owner", owner)
        .replace("atelier_runtime", runtime)
}

/// Two roles that may connect to a database, gone with this value as far as they can be.
struct Roles<'a> {
    db: &'a TestDatabase,
    suffix: String,
}

impl<'a> Roles<'a> {
    async fn create(db: &'a TestDatabase) -> Self {
        let roles = Self {
            db,
            suffix: Uuid::new_v4().simple().to_string(),
        };
        for kind in ["owner", "runtime"] {
            let name = roles.name(kind);
            db.execute(&format!("CREATE ROLE {name} LOGIN PASSWORD 'secret'"))
                .await;
        }
        roles
    }

    fn name(&self, kind: &str) -> String {
        format!("test_{kind}_{}", self.suffix)
    }

    fn url(&self, kind: &str) -> String {
        let mut url = Url::parse(&self.db.url).unwrap();
        url.set_username(&self.name(kind)).unwrap();
        url.set_password(Some("secret")).unwrap();
        url.into()
    }

    async fn run(&self, kind: &str, arguments: &[&str]) -> Output {
        let mut command = atelier(self.db, arguments);
        command.args(["--set", &format!("database.url={}", self.url(kind))]);
        command.args(["--database-url", &self.url(kind)]);
        run(command).await
    }

    /// A server that is not expected to start.
    async fn serve(&self, kind: &str) -> Output {
        self.run(kind, &["serve", "--listen", "127.0.0.1:0"]).await
    }
}

/// Why a server does not start, with the causes.
async fn start_refused(
    db: &TestDatabase,
    change: impl FnOnce(&mut atelier::config::Config),
) -> String {
    let media = tempfile::tempdir().unwrap();
    let mut config = configuration(db, media.path());
    change(&mut config);
    match within(Server::start(config, Role::Api)).await {
        Ok(_) => panic!("it has started"),
        Err(refusal) => atelier::domain::with_causes(&refusal),
    }
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}
