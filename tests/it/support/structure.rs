//! JSON as `google.protobuf.Struct`.

use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::Value as Json;

/// The object as a message; numbers become doubles, which is all that a Struct knows.
pub(crate) fn structure(object: &Json) -> Struct {
    let fields = object.as_object().unwrap();
    Struct {
        fields: fields
            .iter()
            .map(|(key, json)| (key.clone(), value(json)))
            .collect(),
    }
}

pub(crate) fn value(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(flag) => Kind::BoolValue(*flag),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(items) => Kind::ListValue(ListValue {
            values: items.iter().map(value).collect(),
        }),
        Json::Object(_) => Kind::StructValue(structure(json)),
    };
    Value { kind: Some(kind) }
}
