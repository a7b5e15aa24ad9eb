//! The limits that the contracts state for programs (`buf.validate`), held against the server: it refuses what lies beyond
//! each of them, and has nothing against what lies just within.

use std::collections::BTreeSet;

use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MapKey,
    ReflectMessage, Value,
};
use tonic_types::StatusExt;

use crate::support::database::on_both_databases;
use crate::support::process::Process;

use super::error_walk::calls::{Calls, Fixtures};
use super::error_walk::{methods, outcome, rpc_of};

/// Reasons of violations that speak of a limit, and not of what is within it.
const OF_LIMITS: [&str; 4] = ["TOO_LONG", "OUT_OF_RANGE", "TOO_MANY", "DUPLICATE"];

on_both_databases! {
    async fn the_server_draws_each_static_limit_where_the_contract_does(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let server = Process::serve(&db, media.path(), &[]).await;
        let fixtures = Fixtures::make(&server, &db).await;
        let pool = DescriptorPool::decode(atelier::rpc::proto::DESCRIPTORS).unwrap();
        let mut walk = Walk::new(&pool);
        let calls = Calls::new(&fixtures);
        let mut wrong = Vec::new();
        for method in methods(&pool) {
            for probe in walk.probes(&calls.of(&method)) {
                let message = calls.refresh(probe.message);
                let outcome = outcome(server.channel(), &method, &message, "limits").await;
                let told = outcome.err().map(|status| status.get_error_details());
                let told = told.and_then(|details| details.bad_request().cloned());
                let violations = told.map(|bad| bad.field_violations).unwrap_or_default();
                let own = [probe.path.clone(), format!("{}[0]", probe.path)];
                let refused = violations.iter().any(|it| match probe.beyond {
                    true => it.field.starts_with(&probe.path),
                    false => own.contains(&it.field) && OF_LIMITS.contains(&it.reason.as_str()),
                });
                let place = format!("{} {} {}", rpc_of(&method), probe.path, probe.rule);
                if refused != probe.beyond {
                    wrong.push(format!("{place}: {violations:?}"));
                }
            }
            fixtures.delete(&db).await;
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(walk.seen.len() > 100, "only {} limits were found", walk.seen.len());
    }
}

/// A message with one field at or beyond its limit.
struct Probe {
    path: String,
    rule: String,
    message: DynamicMessage,
    beyond: bool,
}

/// The rule that is probed, what the field holds then, and whether that lies beyond. No value means that it is absent.
type Case = (String, Option<Value>, bool);

struct Walk {
    limits: ExtensionDescriptor,
    /// Fields by message and name: each is probed once, in the first message that holds it.
    seen: BTreeSet<String>,
}

impl Walk {
    fn new(pool: &DescriptorPool) -> Self {
        let limits = pool.get_extension_by_name("buf.validate.field").unwrap();
        let seen = BTreeSet::new();
        Self { limits, seen }
    }

    fn probes(&mut self, base: &DynamicMessage) -> Vec<Probe> {
        let mut probes = Vec::new();
        for field in base.descriptor().fields() {
            if self.seen.insert(field.full_name().to_owned()) {
                let cases = self.cases(&field);
                probes.extend(cases.into_iter().map(|(rule, value, beyond)| {
                    let mut message = base.clone();
                    match value {
                        Some(value) => message.set_field(&field, value),
                        None => message.clear_field(&field),
                    }
                    let path = field.name().to_owned();
                    Probe {
                        path,
                        rule,
                        message,
                        beyond,
                    }
                }));
            }
            probes.extend(self.inner_probes(base, &field));
        }
        probes
    }

    /// Those of a message within the message, alone or the first of a list.
    fn inner_probes(&mut self, base: &DynamicMessage, field: &FieldDescriptor) -> Vec<Probe> {
        let Kind::Message(descriptor) = field.kind() else {
            return Vec::new();
        };
        if descriptor.package_name() != "generation.v1" || field.is_map() {
            return Vec::new();
        }
        let present = base.get_field(field).into_owned();
        let first = match &present {
            Value::List(list) => list.first().cloned(),
            other => Some(other.clone()),
        };
        let first = first.and_then(|value| value.as_message().cloned());
        let inner = first.unwrap_or_else(|| DynamicMessage::new(descriptor));
        let place = if field.is_list() { "[0]" } else { "" };
        let probes = self.probes(&inner).into_iter().map(|probe| {
            let value = Value::Message(probe.message);
            let value = if field.is_list() {
                Value::List(vec![value])
            } else {
                value
            };
            let mut message = base.clone();
            message.set_field(field, value);
            let path = format!("{}{place}.{}", field.name(), probe.path);
            Probe {
                path,
                message,
                ..probe
            }
        });
        probes.collect()
    }

    fn cases(&self, field: &FieldDescriptor) -> Vec<Case> {
        let options = field.options();
        let limits = options.get_extension(&self.limits);
        let Some(limits) = limits.as_message() else {
            return Vec::new();
        };
        rules(limits)
            .into_iter()
            .flat_map(|(rule, bound)| cases(field, &rule, &bound))
            .collect()
    }
}

/// The rules of a field with their bounds, such as `string.max_len` with 200.
fn rules(limits: &DynamicMessage) -> Vec<(String, Value)> {
    let fields = limits.fields().flat_map(|(field, value)| match value {
        Value::Message(inner) => rules(inner)
            .into_iter()
            .map(|(rule, bound)| (format!("{}.{rule}", field.name()), bound))
            .collect(),
        bound => vec![(field.name().to_owned(), bound.clone())],
    });
    fields.collect()
}

/// What probes a rule of a field.
fn cases(field: &FieldDescriptor, rule: &str, bound: &Value) -> Vec<Case> {
    if let Some(of_entry) = rule.strip_prefix("repeated.items.") {
        let list = |entry| Value::List(vec![entry]);
        let cases = cases(field, of_entry, bound).into_iter();
        return cases
            .map(|(_, entry, beyond)| (rule.to_owned(), entry.map(list), beyond))
            .collect();
    }
    let text = |length: usize| Value::String("ế".repeat(length));
    let bytes = |length: usize| Value::String("x".repeat(length));
    let number = |number: i64| number_of(&field.kind(), number);
    let list = |length: usize| Value::List((0..length).map(|index| entry(field, index)).collect());
    let map = |length: usize| Value::Map((0..length).map(|index| pair(field, index)).collect());
    let bound_is = whole(bound);
    let size = || usize::try_from(bound_is).unwrap();
    let (within, beyond) = match rule.rsplit('.').next().unwrap() {
        "gt" => (None, number(bound_is)),
        "gte" => (Some(number(bound_is)), number(bound_is - 1)),
        "lte" => (Some(number(bound_is)), number(bound_is + 1)),
        "max_len" => (Some(text(size())), text(size() + 1)),
        "max_bytes" => (Some(bytes(size())), bytes(size() + 1)),
        "min_len" => (None, Value::default_value(&field.kind())),
        "max_items" => (Some(list(size())), list(size() + 1)),
        "min_items" => (None, list(0)),
        "unique" => (None, Value::List(vec![entry(field, 0), entry(field, 0)])),
        "max_pairs" => (Some(map(size())), map(size() + 1)),
        "defined_only" => (None, Value::EnumNumber(999)),
        "not_in" => (None, Value::EnumNumber(0)),
        "required" => return vec![(rule.to_owned(), None, true)],
        "pattern" => return pattern_cases(rule, bound.as_str().unwrap()),
        other => panic!("nobody knows how to probe {other} of {}", field.full_name()),
    };
    let within = within.map(|within| (rule.to_owned(), Some(within), false));
    let beyond = (rule.to_owned(), Some(beyond), true);
    within.into_iter().chain([beyond]).collect()
}

/// Texts for a pattern of classes, the last of which is counted: `^[a-z]{1,128}$`.
fn pattern_cases(rule: &str, pattern: &str) -> Vec<Case> {
    let (classes, counts) = pattern.split_once('{').unwrap();
    let counts = counts.trim_end_matches("}$").split(',');
    let single = classes.matches('[').count() - 1;
    let counts: Vec<usize> = counts
        .map(|count| count.parse::<usize>().unwrap() + single)
        .collect();
    let (least, most) = (counts[0], *counts.last().unwrap());
    let case = |text: String, beyond| (rule.to_owned(), Some(Value::String(text)), beyond);
    let mut cases = vec![
        case("a".repeat(most), false),
        case("a".repeat(most + 1), true),
        case(format!("{}É", "a".repeat(most - 1)), true),
    ];
    if least > 0 {
        cases.push(case("a".repeat(least - 1), true));
    }
    cases
}

fn whole(bound: &Value) -> i64 {
    match bound {
        Value::I32(bound) => i64::from(*bound),
        Value::I64(bound) => *bound,
        Value::U64(bound) => i64::try_from(*bound).unwrap(),
        Value::F64(bound) => *bound as i64,
        _ => 0,
    }
}

fn number_of(kind: &Kind, number: i64) -> Value {
    match kind {
        Kind::Int32 => Value::I32(number.try_into().unwrap()),
        Kind::Int64 => Value::I64(number),
        Kind::Double => Value::F64(number as f64),
        other => panic!("{other:?} has no numbers"),
    }
}

/// An entry of a list, different for each index.
fn entry(field: &FieldDescriptor, index: usize) -> Value {
    match field.kind() {
        Kind::String => Value::String(format!("x{index}")),
        Kind::Message(_) | Kind::Enum(_) => Value::default_value(&field.kind()),
        kind => number_of(&kind, 20 + i64::try_from(index).unwrap()),
    }
}

fn pair(field: &FieldDescriptor, index: usize) -> (MapKey, Value) {
    let Kind::Message(entry) = field.kind() else {
        panic!("{} is no map", field.full_name());
    };
    let value = Value::default_value(&entry.map_entry_value_field().kind());
    (MapKey::String(format!("x{index}")), value)
}
