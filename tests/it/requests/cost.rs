//! What a job costs: its feature's price at the time when it was made.

use atelier::entity::job;
use atelier::rpc::proto::{
    CancelRequestRequest, CreateRequestRequest, Feature, FeaturePrice, FeatureProperties,
    GenerationInput, RetryJobRequest, RetryRequestRequest,
};
use sea_orm::{EntityTrait, QueryOrder};

use crate::support::client::request_for;
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::server::TestServer;

on_both_databases! {
    async fn a_job_keeps_the_price_of_the_time_when_it_was_made(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.priced_feature(7).await;
        let told = server.requests().create_request(CreateRequestRequest { validate_only: true, ..pair(feature) }).await;
        assert_eq!(told.unwrap().into_inner().resolved_input.unwrap().cost, 14);
        server.create(pair(feature)).await;
        assert_eq!(costs(&db).await, [Some(7); 2]);

        set_price(&server, feature, 3).await;
        server.create(pair(feature)).await;
        assert_eq!(costs(&db).await, [Some(7), Some(7), Some(3), Some(3)]);
    }

    async fn a_price_by_size_and_length_is_shared_and_rounded_up(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.priced_feature(7).await;
        let price = FeaturePrice { base: 5, per_megapixel: 1, ..Default::default() };
        let properties = FeatureProperties { price: Some(price), ..Default::default() };
        let update = Feature { id: feature, properties: Some(properties), ..Default::default() };
        server.update_feature(update, &["properties.price"]).await.unwrap();
        let (_, jobs) = server.create(pair(feature)).await;
        let input = server.job(jobs[0].id).await.input.unwrap().fields;
        let side = |name: &str| match input[name].kind {
            Some(prost_types::value::Kind::NumberValue(number)) => number,
            _ => panic!("{name} is no number"),
        };
        let megapixels = side("width") * side("height") / 1e6;
        assert_eq!(costs(&db).await, [Some(7 + 3 + megapixels.ceil() as i64); 2]);
    }

    async fn a_job_of_a_feature_without_a_price_costs_nothing(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        server.create(request_for(feature)).await;
        assert_eq!(costs(&db).await, [Some(0)]);
    }

    async fn a_retry_costs_what_the_job_before_it_did(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.priced_feature(7).await;
        let (request, jobs) = server.create(pair(feature)).await;
        cancel(&server, request.id).await;
        set_price(&server, feature, 3).await;
        server.jobs().retry_job(RetryJobRequest { id: jobs[0].id }).await.unwrap();
        assert_eq!(costs(&db).await, [Some(7); 3]);
        server.requests().retry_request(RetryRequestRequest { id: request.id }).await.unwrap();
        assert_eq!(costs(&db).await, [Some(7); 4]);
    }

    async fn a_job_from_before_costs_were_kept_has_none_and_nor_has_its_retry(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.priced_feature(7).await;
        let (request, _) = server.create(pair(feature)).await;
        db.execute("UPDATE generation_jobs SET cost = NULL").await;
        cancel(&server, request.id).await;
        server.requests().retry_request(RetryRequestRequest { id: request.id }).await.unwrap();
        assert_eq!(costs(&db).await, [None; 4]);
    }
}

/// The costs of all jobs, oldest first.
async fn costs(db: &TestDatabase) -> Vec<Option<i64>> {
    let jobs = job::Entity::find().order_by_asc(job::Column::Id);
    let jobs = jobs.all(&db.connect().await).await.unwrap();
    jobs.into_iter().map(|job| job.cost).collect()
}

async fn set_price(server: &TestServer, feature: i64, price: i64) {
    let properties = FeatureProperties {
        cost_per_generation: price,
        ..Default::default()
    };
    let feature = Feature {
        id: feature,
        properties: Some(properties),
        ..Default::default()
    };
    let path = "properties.cost_per_generation";
    server.update_feature(feature, &[path]).await.unwrap();
}

/// A request of two variations.
pub(super) fn pair(feature: i64) -> CreateRequestRequest {
    CreateRequestRequest {
        input: Some(GenerationInput {
            variations: 2,
            ..Default::default()
        }),
        ..request_for(feature)
    }
}

async fn cancel(server: &TestServer, id: i64) {
    let cancel = CancelRequestRequest {
        id,
        ..Default::default()
    };
    server.requests().cancel_request(cancel).await.unwrap();
}
