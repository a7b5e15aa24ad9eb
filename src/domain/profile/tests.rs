//! What a profile can say, what it may not, and that what users send stays in its place.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

const SMALL: &str = r#"
base_url = "https://service.example/v1"
makes = ["image"]
[submit]
path = "jobs/{{ model }}/{{ seed }}?of={{ prompt }}"
id = "/id"
[submit.body]
text = "{{ prompt }}"
words = "as {{ style.look }} as can be"
size = "{{ width }}"
gone = "{{ negative_prompt }}"
deep = { gone = ["{{ style.none.at.all }}"] }
list = [
    { "$each" = "{{ media_urls }}", type = "image", url = "{{ item }}" },
    { "$if" = "{{ cfg_scale }}", type = "scale" },
    "last",
]
[poll]
path = "jobs/{{ task_id }}"
status = "/status"
words = { done = ["yes"], failed = ["no"] }
[result]
outputs = "/url"
"#;

fn filler(values: Json) -> Filler {
    Filler::new(values.as_object().unwrap().clone())
}

fn small() -> Profile {
    Profile::parse("small", SMALL).unwrap()
}

fn submission(values: Json) -> (Json, (String, Option<String>)) {
    let profile = small();
    let submit = &profile.of(MediaType::Image).submit;
    let filler = filler(values);
    let body = submit.call().body.unwrap().fill(&filler).unwrap();
    (body, submit.path.as_ref().unwrap().fill(&filler).unwrap())
}

#[test]
fn values_are_filled_in_as_what_they_are() {
    let (body, (path, query)) = submission(json!({
        "prompt": "a \"b\" & c/d", "model": "owner/name 2", "seed": 7, "width": 640, "negative_prompt": "",
        "style": { "look": "old" }, "media_urls": ["https://a.example/x", "https://b.example/y"],
    }));
    assert_eq!(
        body,
        json!({
            "text": "a \"b\" & c/d", "words": "as old as can be", "size": 640,
            "list": [
                { "type": "image", "url": "https://a.example/x" }, { "type": "image", "url": "https://b.example/y" },
                "last",
            ],
        })
    );
    assert_eq!(path, "jobs/owner/name%202/7");
    assert_eq!(query.as_deref(), Some("of=a%20%22b%22%20%26%20c%2Fd"));
}

#[test]
fn a_path_keeps_its_steps() {
    for model in [
        "",
        "..",
        "a/../b",
        "a//b",
        "/a",
        "https://elsewhere.example",
    ] {
        let filler = filler(json!({ "model": model, "seed": 7, "prompt": "x" }));
        let profile = small();
        let path = profile.of(MediaType::Image).submit.path.clone().unwrap();
        assert!(path.fill(&filler).is_err(), "{model:?}");
    }
}

proptest! {
    #[test]
    fn nothing_that_is_filled_in_adds_a_key_a_step_or_a_host(text in ".{0,40}") {
        let (body, (path, query)) = submission(json!({
            "prompt": text, "model": "m", "seed": text.clone() + "x", "width": text, "style": { "look": text },
        }));
        let keys: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
        let expected: &[&str] = match text.is_empty() {
            true => &["list", "words"],
            false => &["list", "size", "text", "words"],
        };
        prop_assert_eq!(keys, expected);
        let mut url = url::Url::parse("https://service.example/").unwrap();
        url.set_path(&path);
        url.set_query(query.as_deref());
        prop_assert_eq!(url.host_str(), Some("service.example"));
        prop_assert_eq!(url.path_segments().unwrap().count(), 3);
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        prop_assert_eq!(pairs, [("of".to_owned(), text)]);
        prop_assert_eq!(url.fragment(), None);
    }
}

#[test]
fn every_mistake_is_told_with_its_place() {
    for (from, to, told) in [
        ("makes = [\"image\"]", "makes = [\"smell\"]", "makes[0]"),
        ("id = \"/id\"", "id = \"id\"", "submit.id"),
        ("id = \"/id\"", "", "submit.id: it is missing"),
        ("id = \"/id\"", "number = 1", "submit.number"),
        ("{{ prompt }}\"\nid", "{{ promt }}\"\nid", "submit.path"),
        (
            "text = \"{{ prompt }}\"",
            "text = \"{{ key }}\"",
            "submit.body: /text names key",
        ),
        (
            "gone = [\"{{ style.none.at.all }}\"]",
            "gone = [\"{{ 1 + }}\"]",
            "/deep/gone/0",
        ),
        ("{{ media_urls }}", "media_urls", "$each"),
        ("done = [\"yes\"]", "finished = [\"yes\"]", "poll.words"),
        ("failed = [\"no\"]", "failed = [\"YES\"]", "two meanings"),
        ("outputs = \"/url\"", "", "result: outputs"),
        ("makes = [\"image\"]", "makes = []", "makes: at least one"),
        (
            "[poll]",
            "[poll]\nprogress = { at = \"/p\", of = 0 }",
            "poll.progress.of",
        ),
        (
            "path = \"jobs/{{ model }}",
            "path = \"jobs/../{{ model }}",
            "submit.path",
        ),
        (
            "path = \"jobs/{{ model }}",
            "path = \"https://evil.example/{{ model }}",
            "submit.path",
        ),
        (
            "path = \"jobs/{{ model }}",
            "path = \"jobs/{{ task_id }}",
            "submit: task_id",
        ),
        (
            "path = \"jobs/{{ task_id }}",
            "path = \"jobs/{{ answer }}",
            "answer: it is known only",
        ),
        (
            "https://service",
            "https://user:password@service",
            "base_url: an http or https URL without a user",
        ),
        ("path = \"jobs/{{ task_id }}\"", "", "poll: a path"),
        ("[poll]", "[poll]\nmethod = \"get\"", "poll.method"),
        (
            "[poll]",
            "[poll]\nheaders = { \"a b\" = \"c\" }",
            "poll.headers",
        ),
        ("[poll]", "[auth]\n[poll]", "auth: either"),
        ("https://service.example/v1", "service", "base_url"),
        ("[poll]", "[image.auth]\n[poll]", "image.auth"),
        ("[poll]", "[[poll]", "line"),
    ] {
        assert!(SMALL.contains(from), "{from}");
        let wrong = Profile::parse("small", &SMALL.replacen(from, to, 1)).unwrap_err();
        assert!(wrong.contains(told), "{from} -> {to}: {wrong}");
    }
    assert!(
        Profile::load("fall", |_| unreachable!())
            .unwrap_err()
            .contains("fal")
    );
}

#[test]
fn every_profile_that_ships_can_be_read_and_extended() {
    for (name, _) in SHIPPED {
        Profile::load(name, |_| unreachable!()).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    }
    let own =
        "extends = \"fal\"\n[image.submit.body]\nimage_size = \"\"\nlook = \"{{ style.look }}\"";
    let own = Profile::load("file:own", |_| Ok(own.to_owned())).unwrap();
    let body = own.of(MediaType::Image).submit.body.as_ref().unwrap();
    let filled = body
        .fill(&filler(json!({ "width": 1, "style": { "look": "old" } })))
        .unwrap();
    assert_eq!(filled, json!({ "look": "old" }));
}
