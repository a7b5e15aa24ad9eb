//! The plans: tables `[plans.NAME]`, each of what a user may have at once and in a time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::entry::Entry;
use super::kind::{Kind, Literal, quote};
use super::problem::{Problem, Source};
use super::quantity::{PERIODS, Period};
use super::reader::Reader;
use crate::domain::{Plan, Resolution};

/// The section that holds the tables, beside a setting of its own.
pub(super) const SECTION: &str = "plans";

/// Longest name, that of a token's claim.
const MAX_NAME_CHARS: usize = 64;

const PENDING_JOBS: Entry = Entry {
    key: "pending_jobs",
    doc: "How many jobs of a user may wait; 0: any number.",
    kind: u32::NAME,
    secret: false,
    optional: false,
    default: Some("0"),
    range: Some(("0", "1000000")),
};

const PRIORITY: Entry = Entry {
    key: "priority",
    doc: "The priority of jobs whose request gives none; higher ones run first.",
    default: Some("0"),
    range: Some(("-100", "100")),
    ..PENDING_JOBS
};

const CONCURRENT_JOBS: Entry = Entry {
    key: "concurrent_jobs",
    doc: "How many jobs of a user run at once, on all servers together; 0: any number.",
    range: Some(("0", "10000")),
    ..PENDING_JOBS
};

const VARIATIONS: Entry = Entry {
    key: "variations",
    doc: "How many variations a request may ask for; 0: as many as the feature and `limits.variations` allow.",
    range: Some(("0", "100")),
    ..PENDING_JOBS
};

const REQUESTS_PER_MINUTE: Entry = Entry {
    key: "requests_per_minute",
    doc: "How many requests a user may make within 60 seconds; 0: any number.",
    range: Some(("0", "10000")),
    ..PENDING_JOBS
};

const REQUESTS_PER_DAY: Entry = Entry {
    key: "requests_per_day",
    doc: "How many requests a user may make within 24 hours; 0: any number.",
    range: Some(("0", "100000")),
    ..PENDING_JOBS
};

const FEATURES: Entry = Entry {
    key: "features",
    doc: "Names of the features that may be asked for; all if empty.",
    kind: <Vec<String> as Kind>::NAME,
    default: Some("[]"),
    range: None,
    ..PENDING_JOBS
};

const MAX_RESOLUTION: Entry = Entry {
    key: "max_resolution",
    doc: "The largest picture or video that may be asked for, such as `1080p`, `4K` or `1024x1024`; as large as the feature allows if not set.",
    kind: Size::NAME,
    optional: true,
    default: None,
    range: None,
    ..PENDING_JOBS
};

const MAX_DURATION: Entry = Entry {
    key: "max_duration",
    doc: "The longest video or sound that may be asked for, in whole seconds; as long as the feature allows if not set.",
    kind: Duration::NAME,
    range: Some(("\"1s\"", "\"24h\"")),
    ..MAX_RESOLUTION
};

const RETENTION: Entry = Entry {
    key: "retention",
    doc: "How long after it has ended and was last changed a request is deleted, with its jobs and media, see docs/retention.md; 0: never.",
    kind: Period::NAME,
    default: Some("0"),
    range: Some(PERIODS),
    ..PENDING_JOBS
};

/// The keys.
pub(super) const ENTRIES: &[Entry] = &[
    PRIORITY,
    PENDING_JOBS,
    CONCURRENT_JOBS,
    VARIATIONS,
    REQUESTS_PER_MINUTE,
    REQUESTS_PER_DAY,
    FEATURES,
    MAX_RESOLUTION,
    MAX_DURATION,
    RETENTION,
];

/// How large something is, by the usual names.
struct Size;

impl Kind for Size {
    type Value = Resolution;
    const NAME: &'static str = "size in pixels";

    fn read(literal: &Literal) -> Result<Resolution, String> {
        let size = match literal {
            Literal::Text(text) => text.parse().ok(),
            _ => None,
        };
        size.ok_or_else(|| {
            "720p, 1080p, 2K, 4K, 8K or WIDTHxHEIGHT, of sides from 64 to 7680".to_owned()
        })
    }

    fn write(value: &Resolution) -> Option<String> {
        Some(quote(&value.to_string()))
    }
}

/// The plans by their names.
pub(super) fn read(reader: &mut Reader) -> BTreeMap<String, Plan> {
    let mut plans = BTreeMap::new();
    for name in reader.tables_of(SECTION) {
        let table = path(&name);
        check_name(reader, &table, &name);
        let plan = read_plan(reader, &table, &name);
        reader.finish_table(&table, Some(ENTRIES));
        plans.extend(plan.map(|plan| (name, plan)));
    }
    plans
}

fn check_name(reader: &mut Reader, table: &str, name: &str) {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if !(1..=MAX_NAME_CHARS).contains(&name.len()) || !name.bytes().all(is_part) {
        let expected =
            format!("a name of 1 to {MAX_NAME_CHARS} characters of a-z, A-Z, 0-9, \"_\" and \"-\"");
        reader.refuse(table, table.to_owned(), expected);
    }
}

fn read_plan(reader: &mut Reader, table: &str, name: &str) -> Option<Plan> {
    let number = |entry: &Entry| reader.read_of_within::<u32>(table, entry);
    let numbers = [
        &PENDING_JOBS,
        &CONCURRENT_JOBS,
        &VARIATIONS,
        &REQUESTS_PER_MINUTE,
        &REQUESTS_PER_DAY,
    ]
    .map(number);
    let priority = reader.read_of_within::<i32>(table, &PRIORITY);
    let features = reader.read_of::<Vec<String>>(table, &FEATURES);
    let max_resolution = reader.read_of::<Option<Size>>(table, &MAX_RESOLUTION);
    let max_duration = reader.read_of_within::<Option<Duration>>(table, &MAX_DURATION);
    let retention = reader.read_of_within::<Period>(table, &RETENTION);
    let max_duration = max_duration?;
    if max_duration.is_some_and(|most| most.subsec_nanos() > 0) {
        let key = format!("{table}.{}", MAX_DURATION.key);
        reader.refuse(table, key, "whole seconds, such as \"10s\"".to_owned());
    }
    let [pending, concurrent, variations, per_minute, per_day] = numbers;
    Some(Plan {
        name: name.to_owned(),
        priority: priority?,
        pending_jobs: pending?,
        concurrent_jobs: concurrent?,
        variations: variations?,
        requests_per_minute: per_minute?,
        requests_per_day: per_day?,
        features: features?,
        max_resolution: max_resolution?,
        max_duration,
        retention: retention?,
    })
}

/// Every key with its value as TOML, `None` when it is not set.
pub(super) fn written(plan: &Plan) -> Vec<(&'static Entry, Option<String>)> {
    let values = [
        i32::write(&plan.priority),
        u32::write(&plan.pending_jobs),
        u32::write(&plan.concurrent_jobs),
        u32::write(&plan.variations),
        u32::write(&plan.requests_per_minute),
        u32::write(&plan.requests_per_day),
        <Vec<String> as Kind>::write(&plan.features),
        <Option<Size> as Kind>::write(&plan.max_resolution),
        <Option<Duration> as Kind>::write(&plan.max_duration),
        Period::write(&plan.retention),
    ];
    ENTRIES.iter().zip(values).collect()
}

/// The full name of a plan's table.
pub(super) fn path(name: &str) -> String {
    format!("{SECTION}.{name}")
}

/// What is wrong with a plan that is no table.
pub(super) fn no_table(name: &str, source: Source) -> Problem {
    Problem::Value {
        key: path(name).into(),
        source,
        expected: format!("a table [{SECTION}.NAME], NAME being that of the plan"),
        found: None,
    }
}

#[cfg(test)]
mod tests;
