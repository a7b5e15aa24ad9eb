//! What of this layer reads bytes from outside, see [`crate::fuzzing`].

use serde::de::DeserializeOwned;

use super::{
    Caller, Checks, CursorOf, FeatureProperties, GenerationInput, Keyring, Language, MediaType,
    PageToken, Purpose, Sealer, TemplateData, Trace, UserCursor, WatchCursor, by_quality,
};

/// The name of a reader, a few well-formed texts to begin with, and what feeds it and looks at what it makes of them.
pub type Target = (&'static str, &'static [&'static str], fn(&[u8]));

pub(crate) const TARGETS: &[Target] = &[
    (
        "page-token",
        &[
            "",
            "AQAAAAB2ZXJ5IHNlY3JldA",
            "[7]",
            "[\"2026-01-01T00:00:00Z\",7]",
        ],
        page_token,
    ),
    (
        "cursor",
        &["", "AQAAAAB2ZXJ5IHNlY3JldA", "[1,2,3,4]", "[7,0,0,0,5,1]"],
        cursor,
    ),
    (
        "feature-properties",
        &[
            r#"{"formats": ["png"], "max_resolution": "4K", "supported_aspect_ratios": ["16:9"], "max_duration": 30}"#,
            r#"{"price": {"base": 1, "per_second": 2}, "thumbnail_sizes": [64], "fallbacks": [{"provider": "builtin"}], "house": {}}"#,
        ],
        properties,
    ),
    (
        "template-data",
        &[
            r#"{"prompt": "{{ user_prompt }} in {{ place | upper }}{% if n > 2 %}!{% endif %}", "variables": [{"name": "place", "type": "string", "required": true}, {"name": "n", "type": "integer", "default": 3}]}"#,
            r#"{"negative_prompt": "rain", "defaults": {"batch_size": 2, "output": {"width": 64, "height": 64}}, "style": {"palette": "sunset"}, "house": [1]}"#,
        ],
        template,
    ),
    (
        "input",
        &[
            r#"{"seed": -1, "cfg_scale": 7.5, "lora_weights": {"ink": 0.5}, "product_url": "https://a.vn/b?c#d", "output": {"format": "jpg", "aspect_ratio": "16:9", "duration_seconds": 3, "formats": ["png"]}, "extra": {"a": [1]}}"#,
        ],
        input,
    ),
    (
        "trace",
        &[
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "a-1_b.c:d/e+f=@",
        ],
        trace,
    ),
    (
        "accept-language",
        &["fr-FR, vi;q=0.8, en;q=0.5", "vi;q=0, *"],
        language,
    ),
];

fn sealer() -> Sealer {
    let keys = Keyring::new(Purpose::Tokens).with_configured(Some(&[7; 32]));
    Sealer::new(&keys, Caller::User(7))
}

/// As it came, and as one of ours that holds this, which a program of another version may have made.
fn page_token(bytes: &[u8]) {
    let tokens = PageToken::of("jobs", &1, &sealer()).expect("it is sealed here");
    if let Ok(text) = str::from_utf8(bytes) {
        let opened = tokens.decode::<(i64, i64)>(text);
        assert!(
            text.is_empty() || opened.is_err(),
            "nobody has sealed {text:?}"
        );
    }
    let sealed = sealer()
        .seal("jobs", &1)
        .expect("it is sealed here")
        .close(bytes)
        .expect("it is sealed here");
    if let Ok(Some(key)) = tokens.decode::<Vec<i64>>(&sealed) {
        let again = tokens.decode::<Vec<i64>>(&tokens.encode(&key).expect("it is sealed here"));
        assert_eq!(again.expect("it is sealed here"), Some(key));
    }
}

fn cursor(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let (of, sealer) = (CursorOf::Requests([1, 2].into()), sealer());
    let _ = WatchCursor::decode(&of, text, &sealer, &mut Checks::default());
    let _ = UserCursor::decode(7, text, &sealer, &mut Checks::default());
    let seal = sealer
        .seal("watch of requests", &[1, 2])
        .expect("it is sealed here");
    let sealed = seal.close(bytes).expect("it is sealed here");
    if let Ok(cursor) = WatchCursor::decode(&of, &sealed, &sealer, &mut Checks::default()) {
        let again = cursor.encode(&of, &sealer).expect("it is sealed here");
        let again = WatchCursor::decode(&of, &again, &sealer, &mut Checks::default());
        assert_eq!(again.expect("it is sealed here"), cursor);
    }
    let seal = sealer
        .seal("watch of a user", &7)
        .expect("it is sealed here");
    let sealed = seal.close(bytes).expect("it is sealed here");
    let _ = UserCursor::decode(7, &sealed, &sealer, &mut Checks::default());
}

fn properties(bytes: &[u8]) {
    let properties: FeatureProperties = read(bytes);
    for category in [MediaType::Image, MediaType::Video, MediaType::Audio] {
        let _ = (properties.formats(category), properties.aspect_ratios());
        let mut checks = Checks::default();
        properties.check(Some(category), &mut checks);
        tell(checks);
    }
}

fn template(bytes: &[u8]) {
    let template: TemplateData = read(bytes);
    let mut checks = Checks::default();
    let properties = FeatureProperties::default();
    template.check(&properties, MediaType::Image, &mut checks);
    tell(checks);
    let given = template.examples("a lantern");
    let mut checks = Checks::default();
    let (_, prompt) = template.fill(&given, "a lantern", "input.variables", &mut checks);
    assert!(prompt.is_none_or(|prompt| prompt.chars().count() <= 200_000));
    tell(checks);
}

fn input(bytes: &[u8]) {
    let input: GenerationInput = read(bytes);
    let mut checks = Checks::default();
    input.check("input", &mut checks);
    let properties = FeatureProperties::default();
    for category in [MediaType::Image, MediaType::Video, MediaType::Audio] {
        let form = input
            .output
            .resolve("input.output", &properties, category, &mut checks);
        assert!(form.width <= 7_680 && form.height <= 7_680, "{form:?}");
    }
    tell(checks);
}

fn trace(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let trace = Trace::from_headers(Some(text), Some(text));
    for taken in [trace.x_request_id, trace.traceparent]
        .into_iter()
        .flatten()
    {
        assert!(taken.len() <= 128 && taken.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}

fn language(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = (Language::accepted(text), by_quality(text));
    }
}

/// What serde makes of it, if anything.
fn read<T: DeserializeOwned + Default>(bytes: &[u8]) -> T {
    serde_json::from_slice(bytes).unwrap_or_default()
}

/// Every violation has a sentence in every language.
fn tell(checks: Checks) {
    for violation in checks.into_violations() {
        assert!(!violation.field.is_empty());
        for language in [Language::En, Language::Vi] {
            assert!(!violation.sentence(language).is_empty());
        }
    }
}
