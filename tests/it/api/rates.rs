//! How many calls a minute each caller may make, of each class.

use atelier::config::Config;
use atelier::rpc::proto::{CountRequestsRequest, DeleteRequestRequest, ErrorReason};
use atelier::server::Role;
use futures::future::join_all;
use reqwest::header::{AUTHORIZATION, RETRY_AFTER};
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::database::on_both_databases;
use crate::support::http::browser;
use crate::support::identity::{asks, by, token};
use crate::support::refusal::{of_status, refusal};
use crate::support::server::{TestServer, within};

on_both_databases! {
    async fn who_calls_too_often_is_told_when_to_come_again_and_others_are_not(db: TestDatabase) {
        let trusting = TestServer::start(&db).await;
        let server = trusting.beside(Role::Api, &db, |config| {
            asks(config);
            limits(config);
        }).await;
        let (first, second) = (token("user", "7"), token("user", "8"));
        let count = async |token: &str| server.requests().count_requests(by(token, CountRequestsRequest::default())).await;
        count(&first).await.unwrap();
        // Another token of the same user is the same caller, and the front has no allowance of its own.
        let models = async || {
            let call = browser().get(format!("{}/v1/models", server.url()));
            within(call.header(AUTHORIZATION, format!("Bearer {first}")).send()).await.unwrap()
        };
        assert_eq!(models().await.status(), 200);
        let status = count(&token("user", "7")).await.unwrap_err();
        let refused = of_status(&status);
        refused.is(Code::ResourceExhausted, ErrorReason::RateLimited).with("class", "read").with("per_minute", 2);
        let details = status.get_error_details();
        let delay = details.retry_info().unwrap().retry_delay.unwrap();
        assert!((1..=30).contains(&delay.as_secs()), "{delay:?}");
        let answer = models().await;
        assert_eq!(answer.status(), 429);
        let seconds: u64 = answer.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=30).contains(&seconds), "{seconds}");

        count(&second).await.unwrap();
        let delete = async || {
            let unknown = DeleteRequestRequest { id: 4711, ..Default::default() };
            refusal(server.requests().delete_request(by(&first, unknown)).await)
        };
        delete().await.is(Code::NotFound, ErrorReason::RequestNotFound);
        delete().await.is(Code::ResourceExhausted, ErrorReason::RateLimited).with("class", "write");
    }

    async fn all_servers_of_a_database_count_together(db: TestDatabase) {
        let trusting = TestServer::start(&db).await;
        let asking = |config: &mut Config| {
            asks(config);
            config.rates.reads = 40;
        };
        let servers = [trusting.beside(Role::Api, &db, asking).await, trusting.beside(Role::Api, &db, asking).await];
        let user = token("user", "7");
        let calls = (0..60).map(|call| {
            let (server, call_of) = (&servers[call % 2], by(&user, CountRequestsRequest::default()));
            async move { server.requests().count_requests(call_of).await.map(|_| ()) }
        });
        let made = join_all(calls).await;
        let admitted = made.iter().filter(|made| made.is_ok()).count();
        // One is regained in a second and a half.
        assert!((40..=45).contains(&admitted), "{admitted}");
        for refused in made.into_iter().filter_map(Result::err) {
            of_status(&refused).is(Code::ResourceExhausted, ErrorReason::RateLimited);
        }
    }

    async fn who_is_counted_no_more_is_forgotten(db: TestDatabase) {
        let trusting = TestServer::start(&db).await;
        db.execute("INSERT INTO generation_rates (caller, class, whole_at) VALUES ('user:7', 'read', 5), ('user:8', 'read', 9000000000000000)").await;
        trusting.app().forget_calls().await.unwrap();
        assert_eq!(db.texts("SELECT caller FROM generation_rates").await, ["user:8"]);
    }

    async fn who_need_not_show_who_he_is_has_no_limit(db: TestDatabase) {
        let server = TestServer::start_as(Role::Api, &db, limits).await;
        for _ in 0..10 {
            server.requests().count_requests(CountRequestsRequest::default()).await.unwrap();
        }
    }
}

fn limits(config: &mut Config) {
    config.front.enabled = true;
    config.rates.reads = 2;
    config.rates.writes = 1;
}
