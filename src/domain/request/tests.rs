//! Requests against features and templates: what they come to, and what is refused.

use std::sync::LazyLock;

use serde_json::json;

use super::*;
use crate::domain::Versioned;

static ORIGIN: LazyLock<Origin> = LazyLock::new(|| Origin {
    feature: Versioned {
        id: 1,
        name: "poster".to_owned(),
        version: 1,
    },
    template: None,
});

const LIMITS: IntakeLimits = IntakeLimits {
    prompt_chars: 4_000,
    variations: 16,
};

fn draft(prompt: &str) -> RequestDraft {
    RequestDraft {
        user_id: 1,
        project_id: None,
        feature_id: 1,
        template_id: None,
        user_prompt: prompt.to_owned(),
        feature: String::new(),
        template: String::new(),
        user_media_urls: Vec::new(),
        input: GenerationInput::default(),
        metadata: JsonMap::new(),
        priority: 0,
        schedule: Schedule::default(),
        idempotency_key: String::new(),
        client: None,
        trace: Trace::default(),
        preview: None,
        plan: None,
    }
}

fn offer<'a>(properties: &'a FeatureProperties, template: Option<&'a TemplateData>) -> Offer<'a> {
    Offer {
        origin: &ORIGIN,
        category: MediaType::Image,
        system_prompt: Some("Be kind."),
        properties,
        template,
        own_seconds: None,
        plan: None,
    }
}

fn fields(outcome: Result<Resolved, Error>) -> Vec<String> {
    match outcome {
        Err(Error::Validation(violations)) => violations.into_iter().map(|v| v.field).collect(),
        other => panic!("expected violations, got {other:?}"),
    }
}

#[test]
fn a_prompt_is_trimmed_and_one_of_only_spaces_is_refused() {
    let properties = FeatureProperties::default();
    let resolved = resolve(
        &draft("  Xin chào \n"),
        offer(&properties, None),
        LIMITS,
        7,
        Checks::default(),
    );
    assert_eq!(
        resolved.map(|r| r.user_prompt).ok().as_deref(),
        Some("Xin chào")
    );
    assert_eq!(
        fields(resolve(
            &draft(" \n "),
            offer(&properties, None),
            LIMITS,
            7,
            Checks::default()
        )),
        ["user_prompt"]
    );
}

#[test]
fn an_empty_prompt_is_fine_where_the_feature_allows_it() {
    let properties = FeatureProperties {
        allow_empty_prompt: true,
        ..FeatureProperties::default()
    };
    assert!(
        resolve(
            &draft(""),
            offer(&properties, None),
            LIMITS,
            7,
            Checks::default()
        )
        .is_ok()
    );
}

#[test]
fn variations_count_their_seeds_up_and_wrap() {
    let properties = FeatureProperties::default();
    let mut request = draft("a");
    request.input.batch_size = 3;
    request.input.seed = Some(i64::from(u32::MAX) - 1);
    let resolved = resolve(
        &request,
        offer(&properties, None),
        LIMITS,
        7,
        Checks::default(),
    );
    let seeds: Vec<u32> = resolved
        .iter()
        .flat_map(|r| &r.jobs)
        .map(|job| job.seed)
        .collect();
    assert_eq!(seeds, [u32::MAX - 1, u32::MAX, 0]);
}

#[test]
fn each_variation_costs_what_the_feature_says() {
    let properties = FeatureProperties {
        cost_per_generation: 7,
        ..FeatureProperties::default()
    };
    let mut request = draft("a");
    request.input.batch_size = 3;
    let offer = offer(&properties, None);
    let resolved = resolve(&request, offer, LIMITS, 7, Checks::default());
    let costs = resolved.map(|it| (it.cost_per_job, it.cost()));
    assert_eq!(costs.ok(), Some((7, 21)));
}

#[test]
fn everything_wrong_is_told_at_once() {
    let properties = FeatureProperties {
        max_batch_size: 2,
        ..FeatureProperties::default()
    };
    let mut request = draft("");
    request.user_media_urls = vec![
        "https://a.vn/x.png".to_owned(),
        "file:///etc/passwd".to_owned(),
    ];
    request.input = GenerationInput {
        seed: Some(-2),
        cfg_scale: Some(f64::NAN),
        lora_weights: Some([(String::new(), 1.0), ("style".to_owned(), 9.0)].into()),
        product_url: Some("x".to_owned()),
        batch_size: 5,
        ..GenerationInput::default()
    };
    request.input.output.format = Some("gif".to_owned());
    request
        .input
        .variables
        .insert("brand".to_owned(), json!("x"));
    assert_eq!(
        fields(resolve(
            &request,
            offer(&properties, None),
            LIMITS,
            7,
            Checks::default()
        )),
        [
            "user_prompt",
            "user_media_urls[1]",
            "input.seed",
            "input.cfg_scale",
            "input.lora_weights.weights",
            "input.lora_weights.weights.style",
            "input.product_url",
            "input.variations",
            "input.output.format",
            "input.variables.brand",
        ]
    );
}

#[test]
fn the_request_wins_over_the_template_and_the_template_over_the_feature() {
    let properties = FeatureProperties {
        supported_aspect_ratios: vec!["1:1".to_owned(), "16:9".to_owned()],
        ..FeatureProperties::default()
    };
    let template: TemplateData = serde_json::from_value(json!({
        "prompt": "Poster: {{ user_prompt }}",
        "negative_prompt": "blur",
        "defaults": { "seed": 5, "output": { "aspect_ratio": "16:9", "format": "webp" } },
    }))
    .unwrap_or_default();
    let mut request = draft("a");
    request.input.output.format = Some("jpeg".to_owned());
    let resolved = resolve(
        &request,
        offer(&properties, Some(&template)),
        LIMITS,
        7,
        Checks::default(),
    );
    let job = resolved
        .ok()
        .and_then(|r| r.jobs.into_iter().next())
        .unwrap_or_else(|| panic!("no job"));
    assert_eq!(job.prompt, "Poster: a");
    assert_eq!((job.seed, job.width, job.height), (5, 1_920, 1_080));
    assert_eq!(job.format.as_deref(), Some("jpg"));
    assert_eq!(job.negative_prompt, "blur");
}

#[test]
fn a_trusted_service_s_priority_is_clamped_and_an_end_user_s_is_none() {
    let priority = |caller, priority| {
        let request = RequestDraft {
            priority,
            ..draft("a")
        };
        request.with_allowed_priority(caller).priority
    };
    let trusted = |asked| priority(Caller::TrustedService, asked);
    assert_eq!(
        [i32::MIN, -101, -100, 7, 100, 101, i32::MAX].map(trusted),
        [-100, -100, -100, 7, 100, 100, 100]
    );
    let user = |asked| priority(Caller::User(1), asked);
    assert_eq!([-100, 0, 100].map(user), [0, 0, 0]);
}

#[test]
fn the_fingerprint_follows_the_payload_and_not_the_key() {
    let (mut a, mut b) = (draft("a"), draft("a"));
    a.idempotency_key = "one".to_owned();
    b.idempotency_key = "two".to_owned();
    assert_eq!(a.fingerprint().ok(), b.fingerprint().ok());
    b.priority = 1;
    assert_ne!(a.fingerprint().ok(), b.fingerprint().ok());
}
