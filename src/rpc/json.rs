//! Open-ended data between `google.protobuf.Struct` and JSON.

use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::{Number, Value as Json};

use crate::domain::{Checks, Flaw, JsonMap, Violations};

/// Largest whole number that a double holds exactly, 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

pub(super) fn from_struct(message: Struct) -> JsonMap {
    from_map(message.fields)
}

/// The fields of a message by name.
pub(super) fn from_map(fields: impl IntoIterator<Item = (String, Value)>) -> JsonMap {
    fields
        .into_iter()
        .map(|(key, value)| (key, from_value(value)))
        .collect()
}

/// Finds what JSON cannot say, and a `google.protobuf.Value` must not: infinity, and what is not a number. The objects come
/// with their paths, which stand in the message of `prefix`.
pub(super) fn not_finite<'a>(
    prefix: &'static str,
    objects: impl IntoIterator<Item = (impl AsRef<str>, Option<&'a Struct>)>,
) -> Violations {
    let mut checks = Checks::within(prefix);
    for (path, object) in objects {
        check_finite(path.as_ref(), values_of(object), &mut checks);
    }
    checks.into_violations()
}

/// The same for values under one path.
pub(super) fn check_finite<'a>(
    path: &str,
    mut values: impl Iterator<Item = &'a Value>,
    checks: &mut Checks,
) {
    checks.require(values.all(is_finite), path, || {
        Flaw::Malformed.says("must hold finite numbers only")
    });
}

pub(super) fn values_of(object: Option<&Struct>) -> impl Iterator<Item = &Value> {
    object.into_iter().flat_map(|object| object.fields.values())
}

fn is_finite(value: &Value) -> bool {
    match &value.kind {
        Some(Kind::NumberValue(number)) => number.is_finite(),
        Some(Kind::ListValue(list)) => list.values.iter().all(is_finite),
        Some(Kind::StructValue(object)) => object.fields.values().all(is_finite),
        None | Some(Kind::NullValue(_) | Kind::BoolValue(_) | Kind::StringValue(_)) => true,
    }
}

/// What JSON cannot say becomes null; see [`not_finite`].
pub(super) fn from_value(value: Value) -> Json {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(value)) => Json::Bool(value),
        Some(Kind::StringValue(text)) => Json::String(text),
        Some(Kind::NumberValue(number)) => from_number(number),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(from_value).collect(),
        Some(Kind::StructValue(fields)) => Json::Object(from_struct(fields)),
    }
}

/// A Struct has doubles only; whole ones become whole again.
fn from_number(number: f64) -> Json {
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return Json::from(number as i64);
    }
    Number::from_f64(number).map_or(Json::Null, Json::Number)
}

pub(super) fn to_struct(map: JsonMap) -> Struct {
    Struct {
        fields: map
            .into_iter()
            .map(|(key, value)| (key, to_value(value)))
            .collect(),
    }
}

/// A stored JSON object; anything else, which Atelier does not write, shows as an empty one.
pub(super) fn stored_to_struct(stored: Json) -> Struct {
    match stored {
        Json::Object(map) => to_struct(map),
        _ => Struct::default(),
    }
}

pub(super) fn to_value(json: Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(value) => Kind::BoolValue(value),
        Json::Number(number) => number
            .as_f64()
            .map_or(Kind::NullValue(0), Kind::NumberValue),
        Json::String(text) => Kind::StringValue(text),
        Json::Array(items) => Kind::ListValue(ListValue {
            values: items.into_iter().map(to_value).collect(),
        }),
        Json::Object(map) => Kind::StructValue(to_struct(map)),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn json_value() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i32>().prop_map(Json::from),
            (-1e9..1e9).prop_map(|number: f64| Json::from(number + 0.5)),
            ".{0,8}".prop_map(Json::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                proptest::collection::btree_map(".{0,4}", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_survives_the_way_through_a_struct(value in json_value()) {
            let back = from_value(to_value(value.clone()));
            // A fraction that comes out whole is written without its point: equal as a number.
            prop_assert_eq!(back.to_string().replace(".0", ""), value.to_string().replace(".0", ""));
        }
    }

    #[test]
    fn what_json_cannot_say_becomes_null() {
        for number in [f64::NAN, f64::INFINITY] {
            assert_eq!(
                from_value(Value {
                    kind: Some(Kind::NumberValue(number))
                }),
                json!(null)
            );
        }
    }
}
