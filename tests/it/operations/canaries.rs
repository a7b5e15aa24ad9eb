//! What must not be in a log is put wherever it can be put, and looked for.

use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, FeatureProperties, GenerationInput,
    ListFeaturesRequest, ListMediaRequest, WatchJobRequest,
};
use atelier::stand_in::{Fault, Protocol, StandIn};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use serde_json::json;
use url::Url;

use crate::support::billing::{BillingStandIn, Rpc, TOKEN};
use crate::support::client::{USER, request_for, scripted_feature};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::identity::{SECRET, by, expired, token};
use crate::support::process::Process;
use crate::support::provider::{answer, stand_in};
use crate::support::refusal::refusal;
use crate::support::server::{SIGNING_KEY, within};
use crate::support::structure::value;

const KEY: &str = "sk-canary-of-the-maker";
const JUDGES_KEY: &str = "sk-canary-of-the-judge";
const UNKNOWN: &str = "canary.of.nobody";
const PROMPT: &str = "canary prompt: a duck on a pond";
const NEGATIVE: &str = "canary negative: no swans";
const VALUE: &str = "canary value";
const SYSTEM: &str = "canary system prompt";
/// What the service says of a prompt.
const SAID: &str = "canary words: 'a duck' is not allowed here";

on_both_databases! {
    async fn no_credential_is_ever_logged(db: TestDatabase) {
        let (log, links) = provoke(&db, "trace").await;
        assert!(log.contains("canary"), "what is no secret is logged at trace");
        let tokens = [token("admin", "ops"), token("user", "7"), expired("user", "7")];
        let signatures = tokens.iter().map(|token| token.rsplit('.').next().unwrap().to_owned());
        let links = links.iter().map(|link| {
            let url = Url::parse(link).unwrap();
            let signature = url.query_pairs().find(|(key, _)| key == "signature");
            signature.unwrap().1.into_owned()
        });
        let password = Url::parse(&db.url).unwrap().password().map(str::to_owned);
        let others = [KEY, JUDGES_KEY, TOKEN, UNKNOWN, SECRET, SIGNING_KEY].map(str::to_owned);
        for secret in others.into_iter().chain(signatures).chain(links).chain(password) {
            let line = log.lines().find(|line| line.contains(&secret));
            assert!(line.is_none(), "{secret} is in {}", line.unwrap_or_default());
        }
    }

    async fn what_people_and_services_say_is_not_logged_unless_it_is_asked_for(db: TestDatabase) {
        let (log, _) = provoke(&db, "info").await;
        assert!(log.contains("PROVIDER_REJECTED_INPUT") && log.contains("call refused"), "{log}");
        for words in [PROMPT, NEGATIVE, VALUE, SYSTEM, SAID, "a duck"] {
            let line = log.lines().find(|line| line.contains(words));
            assert!(line.is_none(), "{words} is in {}", line.unwrap_or_default());
        }
    }
}

/// Meets errors of every kind, and returns what was logged of them, and the links to what was made before.
async fn provoke(db: &TestDatabase, filter: &str) -> (String, Vec<String>) {
    let repeats = answer(
        400,
        &json!({ "error": { "message": format!("{SAID} ({KEY})") } }).to_string(),
    );
    let forbids = |key: &str| {
        answer(
            401,
            &json!({ "error": { "message": format!("wrong key: {key}") } }).to_string(),
        )
    };
    let maker = vec![
        Fault::None,
        repeats.clone(),
        answer(500, SAID),
        answer(500, SAID),
        Fault::Cut,
        forbids(KEY),
    ];
    let maker = stand_in(Protocol::OpenAi, maker).await;
    let judge = [
        Fault::None,
        Fault::None,
        Fault::None,
        Fault::None,
        Fault::None,
    ];
    let judge = stand_in(
        Protocol::OpenAi,
        judge
            .into_iter()
            .chain([forbids(JUDGES_KEY), answer(500, SAID)])
            .collect(),
    )
    .await;
    let billing = BillingStandIn::start(&[(USER, 5)]);
    let mut process = serve(db, filter, &maker, &judge, &billing).await;
    let feature = process
        .features()
        .create_feature(by(&token("admin", "ops"), feature()))
        .await;
    let feature = feature.unwrap().into_inner().feature.unwrap().id;
    for _ in 0..4 {
        work_off(&process, asked(feature)).await;
    }
    let listed = ListMediaRequest {
        user_id: USER,
        ..Default::default()
    };
    let media = process
        .media()
        .list_media(by(&token("admin", "ops"), listed))
        .await;
    let links: Vec<_> = media
        .unwrap()
        .into_inner()
        .media
        .into_iter()
        .map(|media| media.download_url)
        .collect();
    assert!(!links.is_empty());
    for link in &links {
        assert_eq!(
            within(browser().get(link).send()).await.unwrap().status(),
            200
        );
        assert_eq!(
            within(browser().get(format!("{link}x")).send())
                .await
                .unwrap()
                .status(),
            403
        );
    }
    let mut wrong = asked(feature);
    // What a field is called is told to operators, and what stands in it is not.
    wrong.input.as_mut().unwrap().variables = [("place".to_owned(), value(&json!(VALUE)))].into();
    for asked in [wrong, asked(feature), asked(feature), asked(0)] {
        let user = by(&token("user", "7"), asked);
        let _refused_or_away = process.requests().create_request(user).await;
    }
    for credential in [UNKNOWN, &expired("user", "7")] {
        refusal(
            process
                .features()
                .list_features(by(credential, ListFeaturesRequest::default()))
                .await,
        );
    }
    for (credential, host) in [
        (UNKNOWN, "localhost"),
        (&*token("user", "7"), "localhost"),
        (&*token("user", "7"), "evil.example"),
    ] {
        let url = format!("http://{}/v1/images/generations", process.address());
        let call = browser()
            .post(url)
            .header(AUTHORIZATION, format!("Bearer {credential}"))
            .header(HOST, host);
        let body = json!({ "model": "drawn", "prompt": PROMPT, "n": 99 }).to_string();
        within(
            call.header(CONTENT_TYPE, "application/json")
                .body(body)
                .send(),
        )
        .await
        .unwrap();
    }
    assert!(!billing.calls(Rpc::Commit).is_empty() && !billing.calls(Rpc::Release).is_empty());
    process.signal("TERM");
    process.exit().await;
    (process.log(), links)
}

async fn serve(
    db: &TestDatabase,
    filter: &str,
    maker: &StandIn,
    judge: &StandIn,
    billing: &BillingStandIn,
) -> Process {
    let mut settings = vec![
        format!("log.filter={filter}"),
        format!("auth.secret={SECRET}"),
        "front.enabled=true".to_owned(),
        "executor.max_attempts=1".to_owned(),
        "providers.service.kind=openai".to_owned(),
        r#"providers.service.makes=["image"]"#.to_owned(),
        format!("providers.service.base_url={}/v1", maker.url()),
        format!("providers.service.api_key={KEY}"),
        "moderation.kind=openai".to_owned(),
        format!("moderation.base_url={}/v1", judge.url()),
        format!("moderation.api_key={JUDGES_KEY}"),
    ];
    settings.extend(billing.settings());
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    Process::serve(db, db.media.path(), &settings).await
}

fn feature() -> CreateFeatureRequest {
    CreateFeatureRequest {
        system_prompt: SYSTEM.to_owned(),
        properties: Some(FeatureProperties {
            provider: "service".to_owned(),
            cost_per_generation: 1,
            ..Default::default()
        }),
        ..scripted_feature("drawn")
    }
}

fn asked(feature: i64) -> CreateRequestRequest {
    let input = GenerationInput {
        negative_prompt: Some(NEGATIVE.to_owned()),
        ..Default::default()
    };
    CreateRequestRequest {
        user_prompt: PROMPT.to_owned(),
        input: Some(input),
        ..request_for(feature)
    }
}

/// Waits for the end of such a request's job.
async fn work_off(process: &Process, asked: CreateRequestRequest) {
    let made = process
        .requests()
        .create_request(by(&token("user", "7"), asked))
        .await;
    let id = made.unwrap().into_inner().jobs.remove(0).id;
    let watched = WatchJobRequest {
        id,
        ..Default::default()
    };
    let watch = process
        .jobs()
        .watch_job(by(&token("user", "7"), watched))
        .await;
    let mut watch = watch.unwrap().into_inner();
    while within(watch.message()).await.unwrap().is_some() {}
}
