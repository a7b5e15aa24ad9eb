//! How the tables of plans are read.

use std::path::Path;
use std::time::Duration;

use crate::config::layer::Layers;
use crate::config::{Config, Loaded};
use crate::domain::Plan;

fn load(toml: &str) -> Result<Loaded, Vec<String>> {
    let mut layers = Layers::default();
    layers.read_toml(Path::new("atelier.toml"), toml);
    let loaded = Config::from_layers(layers);
    loaded.map_err(|problems| problems.0.iter().map(ToString::to_string).collect())
}

const PLANS: &str = "[plans]
default = \"free\"
[plans.free]
pending_jobs = 10
concurrent_jobs = 2
variations = 3
requests_per_minute = 5
requests_per_day = 50
features = [\"poster\"]
max_resolution = \"1080p\"
max_duration = \"10s\"
retention = \"30d\"
[plans.Pro_2]
priority = 10
";

#[test]
fn a_plan_has_the_limits_that_are_written_and_no_others() {
    let plans = load(PLANS).unwrap().config.plans();
    let free = Plan {
        name: "free".to_owned(),
        priority: 0,
        pending_jobs: 10,
        concurrent_jobs: 2,
        variations: 3,
        requests_per_minute: 5,
        requests_per_day: 50,
        features: vec!["poster".to_owned()],
        max_resolution: "1920x1080".parse().ok(),
        max_duration: Some(Duration::from_secs(10)),
        retention: Duration::from_secs(30 * 86_400),
    };
    assert_eq!(plans.by_name["free"], free);
    let pro = Plan {
        name: "Pro_2".to_owned(),
        priority: 10,
        ..Plan::default()
    };
    assert_eq!(plans.by_name["Pro_2"], pro);
    assert_eq!(plans.default.as_deref(), Some("free"));
    assert!(load("").unwrap().config.plans().by_name.is_empty());
}

#[test]
fn what_is_shown_of_plans_is_read_again_as_the_same() {
    let loaded = load(PLANS).unwrap();
    let shown = loaded.to_toml();
    assert!(shown.contains("[plans.free]\npriority = 0\npending_jobs = 10 # atelier.toml:4\n"));
    let again = load(&shown).unwrap().config;
    assert_eq!(again.named_plans, loaded.config.named_plans);
}

#[test]
fn everything_that_is_wrong_with_plans_is_told() {
    let told = load(
        "[plans]\ndefault = \"free\"\ngold = 1\n[plans.free]\npriority = 101\npending = 1\nmax_resolution = \"huge\"\n\
         max_duration = \"1500ms\"\nfeatures = \"all\"\n[plans.\"a b\"]\n[plans.x.y]\nz = 1\n",
    )
    .unwrap_err();
    let expected = [
        "plans.gold (atelier.toml:3): expected a table [plans.NAME], NAME being that of the plan",
        "plans.a b (atelier.toml:10): expected a name of 1 to 64 characters of a-z, A-Z, 0-9, \"_\" and \"-\"",
        "plans.free.priority (atelier.toml:5): expected a value from -100 to 100, found 101",
        "plans.free.features (atelier.toml:9): expected a TOML list of texts, found \"all\"",
        "plans.free.max_resolution (atelier.toml:7): expected 720p, 1080p, 2K, 4K, 8K or WIDTHxHEIGHT, of sides from 64 to 7680, found \"huge\"",
        "plans.free.max_duration (atelier.toml:4): expected whole seconds, such as \"10s\"",
    ];
    for expected in expected {
        assert!(
            told.iter().any(|it| it == expected),
            "{expected}: {told:#?}"
        );
    }
    for unknown in ["plans.free.pending (", "plans.x.y ("] {
        assert!(
            told.iter().any(|it| it.contains(unknown)),
            "{unknown}: {told:#?}"
        );
    }
}

#[test]
fn who_has_no_plan_must_be_given_one() {
    let needed = "who has no plan needs one of those that there are: \"free\"";
    for (toml, expected) in [
        ("[plans.free]\npriority = 1", needed),
        (
            "[plans]\ndefault = \"pro\"\n[plans.free]\npriority = 1",
            needed,
        ),
        ("[plans]\ndefault = \"pro\"", "there are no plans"),
    ] {
        let told = load(toml).unwrap_err();
        assert!(told.len() == 1 && told[0].contains(expected), "{told:?}");
    }
}
