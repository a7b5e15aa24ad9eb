//! Plans: what a user may ask for, how much of it may wait, and how often he may ask.

use std::time::Duration;

use atelier::config::Config;
use atelier::domain::Plan;
use atelier::entity::{job, request};
use atelier::rpc::proto::{
    CancelJobRequest, CreateFeatureRequest, CreateRequestRequest, CreateRequestResponse,
    DeleteRequestRequest, ErrorReason, EstimateCostRequest, FeatureProperties, GetLimitsRequest,
    GetLimitsResponse, MediaType, OutputSettings, PreviewTemplateRequest, RetryJobRequest,
    RetryRequestRequest, TemplateData, ViolationReason,
};
use atelier::server::Role;
use chrono::TimeDelta;
use futures::future::join_all;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use sea_orm::EntityTrait;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

use crate::support::client::{Client, USER, request_for, scripted_feature};
use crate::support::clocked::ClockedServer;
use crate::support::database::on_both_databases;
use crate::support::http::browser;
use crate::support::identity::{asks, by, token, token_with_plan};
use crate::support::plans::{configure, plan};
use crate::support::refusal::{of_status, refusal};
use crate::support::server::{TestServer, within};

on_both_databases! {
    async fn what_a_request_asks_for_is_held_against_the_plan(db: TestDatabase) {
        let server = TestServer::start_as(Role::Api, &db, |config| configure(config, [plan("free", |it| {
            it.variations = 2;
            it.features = vec!["scripted".to_owned(), "clip".to_owned()];
            it.max_resolution = "640x480".parse().ok();
            it.max_duration = Some(Duration::from_secs(10));
        })])).await;
        let feature = server.scripted_feature().await;
        let clip = server.add_feature(timed("clip")).await.id;
        let other = server.add_feature(scripted_feature("other")).await.id;
        let try_out = async |asked| server.requests().create_request(CreateRequestRequest { validate_only: true, ..asked }).await;
        let sized = |width, height| output(feature, |it| (it.width, it.height) = (Some(width), Some(height)));

        for asked in [variations(feature, 2), sized(640, 480), sized(480, 640), lasting(clip, 10)] {
            try_out(asked).await.unwrap();
        }
        for (asked, field) in [
            (variations(feature, 3), "input.variations"),
            (sized(640, 481), "input.output.width"),
            (lasting(clip, 11), "input.output.duration_seconds"),
            (request_for(other), "feature_id"),
            (CreateRequestRequest { feature_id: 0, feature: "other".to_owned(), ..request_for(0) }, "feature"),
        ] {
            let status = try_out(asked.clone()).await.unwrap_err();
            of_status(&status).of_fields([field]);
            let told = status.get_error_details().bad_request().unwrap().field_violations[0].reason.clone();
            assert_eq!(format!("VIOLATION_REASON_{told}"), ViolationReason::PlanLimit.as_str_name());
            refusal(server.requests().create_request(asked).await).of_fields([field]);
        }
        let several = CreateRequestRequest { user_prompt: String::new(), ..variations(other, 3) };
        refusal(try_out(several).await).of_fields(["user_prompt", "feature_id", "input.variations"]);

        let open = try_out(request_for(feature)).await.unwrap().into_inner().resolved_input.unwrap();
        assert_eq!((open.width, open.height), (480, 480), "what nobody asked for is as large as the plan allows");
    }

    async fn a_length_that_is_left_open_is_no_longer_than_may_be(db: TestDatabase) {
        let server = TestServer::start_as(Role::Api, &db, |config| configure(config, [
            plan("free", |it| it.max_duration = Some(Duration::from_secs(4))),
            plan("pro", |_| ()),
        ])).await;
        let drawn = |name: &str, longest| {
            let feature = timed(name);
            let properties = FeatureProperties {
                max_duration_seconds: longest,
                provider: "builtin".to_owned(),
                ..feature.properties.unwrap()
            };
            CreateFeatureRequest { properties: Some(properties), ..feature }
        };
        let long = server.add_feature(drawn("long", 60)).await.id;
        let short = server.add_feature(drawn("short", 3)).await.id;
        let scripted = server.add_feature(timed("scripted")).await.id;
        for (feature, plan, expected) in [
            (long, "free", Some(4)),
            (long, "pro", None),
            (short, "free", Some(3)),
            (short, "pro", Some(3)),
            (scripted, "free", None),
        ] {
            for asked in [request_for(feature), lasting(feature, 0)] {
                let asked = CreateRequestRequest { plan: plan.to_owned(), validate_only: true, ..asked };
                let resolved = server.requests().create_request(asked).await.unwrap().into_inner().resolved_input.unwrap();
                assert_eq!(resolved.duration_seconds, expected.unwrap_or(0), "feature {feature}, plan {plan}");
            }
        }
    }

    async fn requests_within_a_time_are_counted_until_it_has_passed(db: TestDatabase) {
        let server = ClockedServer::start_with(&db, |config| configure(config, [plan("free", |it| {
            it.requests_per_minute = 2;
            it.requests_per_day = 3;
        })])).await;
        let feature = server.scripted_feature().await;
        let keyed = CreateRequestRequest { idempotency_key: "a key".to_owned(), ..request_for(feature) };
        let first = server.create(keyed.clone()).await.0;
        server.pass(TimeDelta::seconds(20));
        server.create(request_for(feature)).await;
        let full = server.requests().create_request(request_for(feature)).await;
        exceeded(full, ("requests_per_minute", 2), Some(40));
        assert_eq!(server.create(keyed.clone()).await.0.id, first.id, "a repetition is answered");
        let another = CreateRequestRequest { user_id: USER + 1, ..request_for(feature) };
        server.create(another).await;
        preview(&server, feature).await;
        let delete = DeleteRequestRequest { id: first.id, ..Default::default() };
        server.requests().delete_request(delete).await.unwrap();
        let full = server.requests().create_request(request_for(feature)).await;
        exceeded(full, ("requests_per_minute", 2), Some(40));

        let told = limits(&server, "").await;
        let minute = told.requests_per_minute.unwrap();
        assert_eq!((minute.limit, minute.used), (2, 2));
        let now = server.app.clock.now().timestamp();
        assert_eq!(minute.free_time.unwrap().seconds, now + 40);

        server.pass(TimeDelta::milliseconds(39_999));
        exceeded(server.requests().create_request(request_for(feature)).await, ("requests_per_minute", 2), Some(1));
        server.pass(TimeDelta::milliseconds(1));
        server.create(request_for(feature)).await;
        server.pass(TimeDelta::minutes(5));
        let day = 86_400 - 60 - 300;
        let full = server.requests().create_request(request_for(feature)).await;
        exceeded(full, ("requests_per_day", 3), Some(day));
        server.pass(TimeDelta::seconds(day));
        server.create(request_for(feature)).await;
    }

    async fn a_retry_counts_as_a_request(db: TestDatabase) {
        let server = ClockedServer::start_with(&db, |config| configure(config, [plan("free", |it| it.requests_per_minute = 2)])).await;
        let feature = server.scripted_feature().await;
        let mut job = server.create(request_for(feature)).await.1.remove(0).id;
        let cancel = async |id| {
            let cancelled = server.jobs().cancel_job(CancelJobRequest { id, ..Default::default() }).await;
            cancelled.unwrap();
        };
        let retry = async |id| server.jobs().retry_job(RetryJobRequest { id }).await;
        cancel(job).await;
        server.pass(TimeDelta::seconds(20));
        job = retry(job).await.unwrap().into_inner().job.unwrap().id;
        cancel(job).await;
        let refused = retry(job).await.unwrap_err();
        of_status(&refused).is(Code::ResourceExhausted, ErrorReason::QuotaExceeded).with("limit", "requests_per_minute");
        assert_eq!(refused.get_error_details().retry_info().unwrap().retry_delay.unwrap().as_secs(), 40);
        assert_eq!(limits(&server, "").await.requests_per_minute.unwrap().used, 2);
        exceeded(server.requests().create_request(request_for(feature)).await, ("requests_per_minute", 2), Some(40));
        server.pass(TimeDelta::seconds(40));
        retry(job).await.unwrap();

        assert_eq!(db.texts("SELECT CAST(user_id AS TEXT) FROM generation_plan_retries").await.len(), 2);
        server.pass(TimeDelta::hours(25));
        server.app.forget_retries().await.unwrap();
        assert_eq!(db.texts("SELECT CAST(user_id AS TEXT) FROM generation_plan_retries").await.len(), 0);
    }

    async fn jobs_that_wait_are_counted_and_those_that_have_ended_are_not(db: TestDatabase) {
        let server = TestServer::start_as(Role::Api, &db, |config| configure(config, [waiting(3)])).await;
        let feature = server.scripted_feature().await;
        let (request, jobs) = server.create(variations(feature, 2)).await;
        let too_many = server.requests().create_request(variations(feature, 2)).await;
        exceeded(too_many, ("pending_jobs", 3), Some(10));
        server.create(request_for(feature)).await;
        exceeded(server.requests().create_request(request_for(feature)).await, ("pending_jobs", 3), Some(10));
        // No waiting makes room for these.
        exceeded(server.requests().create_request(variations(feature, 4)).await, ("pending_jobs", 3), None);
        preview(&server, feature).await;
        assert_eq!(limits(&server, "").await.pending_jobs.unwrap().used, 3);

        let cancel = CancelJobRequest { id: jobs[0].id, ..Default::default() };
        server.jobs().cancel_job(cancel).await.unwrap();
        server.create(request_for(feature)).await;
        let retried = server.jobs().retry_job(RetryJobRequest { id: jobs[0].id }).await;
        refusal(retried).is(Code::ResourceExhausted, ErrorReason::QuotaExceeded).with("limit", "pending_jobs");
        let retried = server.requests().retry_request(RetryRequestRequest { id: request.id }).await;
        refusal(retried).is(Code::ResourceExhausted, ErrorReason::QuotaExceeded);
        let cancel = CancelJobRequest { id: jobs[1].id, ..Default::default() };
        server.jobs().cancel_job(cancel).await.unwrap();
        server.jobs().retry_job(RetryJobRequest { id: jobs[0].id }).await.unwrap();
    }

    async fn of_fifty_requests_at_once_as_many_are_taken_as_there_is_room_for(db: TestDatabase) {
        let change = |config: &mut Config| configure(config, [waiting(10)]);
        let server = TestServer::start_as(Role::Api, &db, change).await;
        let other = server.beside(Role::Api, &db, change).await;
        let feature = server.scripted_feature().await;
        let asked = (0..50).map(|index| {
            let client = if index % 2 == 0 { server.client() } else { other.client() };
            async move { client.requests().create_request(request_for(feature)).await }
        });
        let answers = within(join_all(asked)).await;
        let (taken, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(taken.len(), 10);
        for refused in refused {
            exceeded(refused, ("pending_jobs", 10), Some(10));
        }
        let jobs = job::Entity::find().all(&db.connect().await).await.unwrap();
        assert_eq!(jobs.len(), 10);
    }

    async fn what_would_be_refused_is_told_beforehand_and_counts_nothing(db: TestDatabase) {
        let server = TestServer::start_as(Role::Api, &db, |config| configure(config, [plan("free", |it| it.requests_per_day = 1)])).await;
        let feature = server.scripted_feature().await;
        let validate = async || {
            let asked = CreateRequestRequest { validate_only: true, ..request_for(feature) };
            server.requests().create_request(asked).await
        };
        let estimate = async || {
            let asked = EstimateCostRequest { request: Some(request_for(feature)) };
            server.credits().estimate_cost(asked).await.unwrap().into_inner().exceeded_limit
        };
        for _ in 0..3 {
            validate().await.unwrap();
            assert_eq!(estimate().await, "");
        }
        server.create(request_for(feature)).await;
        let refused = validate().await;
        refusal(refused).is(Code::ResourceExhausted, ErrorReason::QuotaExceeded).with("limit", "requests_per_day");
        assert_eq!(estimate().await, "requests_per_day");
        let asked = EstimateCostRequest { request: Some(CreateRequestRequest { plan: "x".repeat(65), ..request_for(feature) }) };
        refusal(server.credits().estimate_cost(asked).await).of_fields(["request.plan"]);
    }

    async fn a_user_has_the_plan_of_his_token_and_services_name_one(db: TestDatabase) {
        let trusting = TestServer::start_api(&db).await;
        let feature = trusting.scripted_feature().await;
        let server = trusting.beside(Role::Api, &db, |config| {
            asks(config);
            configure(config, [
                plan("free", |it| { it.variations = 1; it.pending_jobs = 5; }),
                plan("pro", |it| { it.variations = 2; it.priority = 10; it.concurrent_jobs = 4; }),
            ]);
        }).await;
        let create = async |token: &str, variations: i32, named: &str| {
            let asked = CreateRequestRequest { plan: named.to_owned(), ..variations_of(feature, variations) };
            server.requests().create_request(by(token, asked)).await
        };
        let (free, pro, gold) = (token("user", "7"), token_with_plan(USER, "pro"), token_with_plan(USER, "gold"));
        create(&free, 1, "").await.unwrap();
        refusal(create(&free, 2, "").await).of_fields(["input.variations"]);
        refusal(create(&free, 1, "pro").await).of_fields(["plan"]);
        create(&pro, 2, "").await.unwrap();
        create(&pro, 2, "pro").await.unwrap();
        refusal(create(&pro, 1, "free").await).of_fields(["plan"]);
        let unknown = refusal(create(&gold, 1, "").await);
        unknown.is(Code::FailedPrecondition, ErrorReason::PlanUnknown).with("plan", "gold");
        let shop = token("service", "shop");
        create(&shop, 2, "pro").await.unwrap();
        refusal(create(&shop, 2, "").await).of_fields(["input.variations"]);
        refusal(create(&shop, 1, "gold").await).is(Code::FailedPrecondition, ErrorReason::PlanUnknown);

        let made = request::Entity::find().all(&db.connect().await).await.unwrap();
        let plans: Vec<_> = made.iter().map(|it| it.plan.as_deref().unwrap()).collect();
        assert_eq!(plans, ["free", "pro", "pro", "pro"]);
        let jobs = job::Entity::find().all(&db.connect().await).await.unwrap();
        let kept: Vec<_> = jobs.iter().map(|it| (it.priority, it.concurrency)).collect();
        assert_eq!(kept[..3], [(0, None), (10, Some(4)), (10, Some(4))]);

        let limits = async |token: &str, user_id: i64, plan: &str| {
            let asked = GetLimitsRequest { user_id, plan: plan.to_owned() };
            server.credits().get_limits(by(token, asked)).await
        };
        let told = limits(&pro, 0, "").await.unwrap().into_inner();
        assert_eq!((told.plan.as_str(), told.max_variations, told.priority), ("pro", 2, 10));
        let (pending, running) = (told.pending_jobs.unwrap(), told.concurrent_jobs.unwrap());
        assert_eq!((pending.limit, pending.used, running.limit, running.used), (0, 7, 4, 0));
        assert_eq!(limits(&free, USER, "").await.unwrap().into_inner().pending_jobs.unwrap().limit, 5);
        refusal(limits(&free, USER + 1, "").await).is(Code::PermissionDenied, ErrorReason::PermissionDenied);
        refusal(limits(&free, USER, "pro").await).of_fields(["plan"]);
        refusal(limits(&gold, USER, "").await).is(Code::FailedPrecondition, ErrorReason::PlanUnknown);
        assert_eq!(limits(&shop, USER, "pro").await.unwrap().into_inner().plan, "pro");
        refusal(limits(&shop, 0, "").await).of_fields(["user_id"]);
    }

    async fn a_plan_that_has_changed_since_makes_no_repetition_a_mistake(db: TestDatabase) {
        let trusting = TestServer::start_api(&db).await;
        let feature = trusting.scripted_feature().await;
        let server = trusting.beside(Role::Api, &db, |config| {
            asks(config);
            configure(config, [plan("free", |it| it.pending_jobs = 1), plan("pro", |it| it.priority = 10)]);
        }).await;
        let create = async |token: &str| {
            let asked = CreateRequestRequest { idempotency_key: "a key".to_owned(), ..request_for(feature) };
            server.requests().create_request(by(token, asked)).await.unwrap().into_inner().request.unwrap().id
        };
        let first = create(&token("user", "7")).await;
        assert_eq!(create(&token("user", "7")).await, first);
        assert_eq!(create(&token_with_plan(USER, "pro")).await, first);
        assert_eq!(create(&token_with_plan(USER, "gold")).await, first);
    }

    async fn nothing_is_limited_where_there_are_no_plans(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        for _ in 0..3 {
            server.create(CreateRequestRequest { plan: "pro".to_owned(), ..variations(feature, 16) }).await;
        }
        let told = limits(&server, "pro").await;
        assert_eq!(told.plan, "");
        assert_eq!(told.pending_jobs.unwrap().used, 48);
        assert_eq!(told.requests_per_day.unwrap(), Default::default());
    }

    async fn the_front_says_when_to_come_again(db: TestDatabase) {
        let server = TestServer::start_as(Role::Api, &db, |config| {
            config.front.enabled = true;
            configure(config, [
                plan("free", |it| { it.requests_per_minute = 1; it.pending_jobs = 2; }),
                plan("pro", |it| it.requests_per_minute = 2),
            ]);
        }).await;
        let feature = server.add_feature(timed("clip")).await.id;
        let ask = async |plan: &str, n: i32| {
            let call = browser().post(format!("{}/v1/videos", server.url()));
            let body = serde_json::json!({ "model": "clip", "prompt": "x", "user": "7", "plan": plan, "n": n });
            let call = call.header(CONTENT_TYPE, "application/json").body(body.to_string());
            within(call.send()).await.unwrap()
        };
        let never = ask("", 3).await;
        assert_eq!((never.status().as_u16(), never.headers()["x-should-retry"].to_str().unwrap()), (429, "false"));
        server.create(request_for(feature)).await;
        let refused = ask("", 1).await;
        assert_eq!(refused.status(), 429);
        let seconds: u64 = refused.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        let body: serde_json::Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
        assert_eq!(body["error"]["code"], "QUOTA_EXCEEDED");
        assert_eq!(ask("pro", 1).await.status(), 200);
    }
}

fn waiting(most: u32) -> Plan {
    plan("free", |it| it.pending_jobs = most)
}

fn timed(name: &str) -> CreateFeatureRequest {
    CreateFeatureRequest {
        category: MediaType::Video.into(),
        properties: Some(FeatureProperties {
            max_duration_seconds: 60,
            ..scripted_feature(name).properties.unwrap()
        }),
        ..scripted_feature(name)
    }
}

fn output(feature: i64, set: impl FnOnce(&mut OutputSettings)) -> CreateRequestRequest {
    let mut asked = request_for(feature);
    let input = asked.input.get_or_insert_default();
    set(input.output.get_or_insert_default());
    asked
}

fn lasting(feature: i64, seconds: i32) -> CreateRequestRequest {
    output(feature, |it| it.duration_seconds = Some(seconds))
}

fn variations(feature: i64, variations: i32) -> CreateRequestRequest {
    let mut asked = request_for(feature);
    asked.input.get_or_insert_default().variations = variations;
    asked
}

/// Of nobody in particular, as users ask.
fn variations_of(feature: i64, count: i32) -> CreateRequestRequest {
    CreateRequestRequest {
        user_id: USER,
        ..variations(feature, count)
    }
}

async fn preview(client: &Client, feature_id: i64) {
    let preview = PreviewTemplateRequest {
        user_id: USER,
        feature_id,
        template_data: Some(TemplateData::default()),
        user_prompt: "x".to_owned(),
        ..Default::default()
    };
    client.templates().preview_template(preview).await.unwrap();
}

async fn limits(client: &Client, plan: &str) -> GetLimitsResponse {
    let asked = GetLimitsRequest {
        user_id: USER,
        plan: plan.to_owned(),
    };
    let told = client.credits().get_limits(asked).await;
    told.unwrap().into_inner()
}

/// The refusal says which limit it is, its value and when to come again, in seconds.
#[track_caller]
fn exceeded(
    outcome: Result<Response<CreateRequestResponse>, Status>,
    (limit, value): (&str, u32),
    wait: Option<i64>,
) {
    let status = outcome.expect_err("there is room");
    let refused = of_status(&status);
    refused.is(Code::ResourceExhausted, ErrorReason::QuotaExceeded);
    refused.with("limit", limit).with("value", value);
    refused.with("plan", "free").with("user_id", USER);
    let details = status.get_error_details();
    let delay = details.retry_info().and_then(|it| it.retry_delay);
    let seconds = delay.map(|it| i64::try_from(it.as_millis().div_ceil(1_000)).unwrap());
    assert_eq!(seconds, wait);
    let violations = &details.quota_failure().unwrap().violations;
    assert_eq!(violations[0].subject, format!("user:{USER}"));
    assert!(violations[0].description.contains(&value.to_string()));
}
