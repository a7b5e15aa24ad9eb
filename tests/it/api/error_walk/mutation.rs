//! Every way in which a message can be wrong, found from its descriptor.

use std::collections::BTreeMap;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

use super::UNKNOWN_ID;

/// More characters than any text may have.
const LONG: usize = 200_000;
/// More entries than any list may have.
const MANY: usize = 5_000;
/// More bytes than any open-ended object may have.
const HUGE: usize = 70_000;
/// Deeper than any open-ended object may be, and less deep than protobuf's own limit.
const DEEP: usize = 20;

/// A message that is wrong in one place, and in which way.
pub(super) struct Mutation {
    /// Path of the field and what was done to it, such as `input.seed=least`.
    pub name: String,
    pub message: DynamicMessage,
}

/// Identifiers of rows that are deleted, by the field that names them.
pub(super) type Deleted = BTreeMap<&'static str, i64>;

/// All mutations of a message that is fine, one field at a time.
pub(super) fn of(base: &DynamicMessage, deleted: &Deleted) -> Vec<Mutation> {
    let walk = Walk { deleted };
    walk.message(base)
        .into_iter()
        .map(|(name, message)| Mutation { name, message })
        .collect()
}

struct Walk<'a> {
    deleted: &'a Deleted,
}

type Named<T> = Vec<(String, T)>;

impl Walk<'_> {
    fn message(&self, base: &DynamicMessage) -> Named<DynamicMessage> {
        let mut mutations = Vec::new();
        for field in prost_reflect::ReflectMessage::descriptor(base).fields() {
            if base.has_field(&field) {
                let mut without = base.clone();
                without.clear_field(&field);
                mutations.push((format!("{}=missing", field.name()), without));
            }
            for (name, value) in self.field(base, &field) {
                let mut with = base.clone();
                with.set_field(&field, value);
                mutations.push((format!("{}{name}", field.name()), with));
            }
        }
        mutations
    }

    fn field(&self, base: &DynamicMessage, field: &FieldDescriptor) -> Named<Value> {
        if field.is_map() {
            self.map(field)
        } else if field.is_list() {
            self.list(base, field)
        } else {
            self.value(base.get_field(field).into_owned(), field)
        }
    }

    fn map(&self, field: &FieldDescriptor) -> Named<Value> {
        let Kind::Message(entry) = field.kind() else {
            return Vec::new();
        };
        let value = entry.map_entry_value_field();
        let good = Value::default_value(&value.kind());
        let one = |key: String, value: Value| Value::Map([(MapKey::String(key), value)].into());
        let mut mutations: Named<Value> = self
            .value(good.clone(), &value)
            .into_iter()
            .map(|(name, value)| (format!("[a]{name}"), one("a".to_owned(), value)))
            .collect();
        for (name, key) in texts() {
            mutations.push((format!("[]={name}"), one(key, good.clone())));
        }
        let many = (0..MANY).map(|index| (MapKey::String(index.to_string()), good.clone()));
        mutations.push(("=many".to_owned(), Value::Map(many.collect())));
        mutations
    }

    fn list(&self, base: &DynamicMessage, field: &FieldDescriptor) -> Named<Value> {
        let present = base.get_field(field);
        let first = present.as_list().and_then(<[Value]>::first);
        let good = first.map_or_else(|| Value::default_value(&field.kind()), Value::clone);
        let mut mutations: Named<Value> = self
            .value(good.clone(), field)
            .into_iter()
            .map(|(name, value)| (format!("[0]{name}"), Value::List(vec![value])))
            .collect();
        mutations.push(("=many".to_owned(), Value::List(vec![good; MANY])));
        mutations
    }

    fn value(&self, present: Value, field: &FieldDescriptor) -> Named<Value> {
        let named = |mutations: Vec<(&str, Value)>| {
            let named = mutations.into_iter();
            named
                .map(|(name, value)| (format!("={name}"), value))
                .collect()
        };
        match field.kind() {
            Kind::Int32 => named(numbers(i32::MIN, -1, i32::MAX, Value::I32)),
            Kind::Int64 => named(self.longs(field)),
            Kind::Double => named(vec![
                ("nan", Value::F64(f64::NAN)),
                ("infinite", Value::F64(f64::NEG_INFINITY)),
                ("astronomic", Value::F64(1e300)),
            ]),
            Kind::String => texts_of(field)
                .into_iter()
                .map(|(name, text)| (format!("={name}"), Value::String(text)))
                .collect(),
            Kind::Enum(_) => named(vec![
                ("unknown", Value::EnumNumber(999)),
                ("negative", Value::EnumNumber(-1)),
            ]),
            Kind::Message(descriptor) => self.inner(present, &descriptor),
            _ => Vec::new(),
        }
    }

    fn longs(&self, field: &FieldDescriptor) -> Vec<(&'static str, Value)> {
        let mut longs = numbers(i64::MIN, -1, i64::MAX, Value::I64);
        if let Some(deleted) = self.deleted.get(field.name()) {
            longs.push(("nowhere", Value::I64(UNKNOWN_ID)));
            longs.push(("deleted", Value::I64(*deleted)));
        }
        longs
    }

    fn inner(&self, present: Value, descriptor: &MessageDescriptor) -> Named<Value> {
        let message = |message: DynamicMessage| Value::Message(message);
        match descriptor.full_name() {
            "google.protobuf.Struct" => known(descriptor, structs()),
            "google.protobuf.Value" => known(descriptor, values()),
            "google.protobuf.Timestamp" => known(descriptor, timestamps()),
            "google.protobuf.FieldMask" => known(descriptor, masks()),
            _ => {
                let base = match present {
                    Value::Message(message) => message,
                    _ => DynamicMessage::new(descriptor.clone()),
                };
                let mutations = self.message(&base).into_iter();
                mutations
                    .map(|(name, inner)| (format!(".{name}"), message(inner)))
                    .collect()
            }
        }
    }
}

fn numbers<T>(least: T, negative: T, most: T, value: fn(T) -> Value) -> Vec<(&'static str, Value)> {
    vec![
        ("least", value(least)),
        ("negative", value(negative)),
        ("most", value(most)),
    ]
}

fn texts() -> Vec<(&'static str, String)> {
    vec![
        ("nul", "a\0b".to_owned()),
        ("control", "a\u{1b}b".to_owned()),
        ("spaces", "   ".to_owned()),
        ("long", "x".repeat(LONG)),
    ]
}

fn texts_of(field: &FieldDescriptor) -> Vec<(&'static str, String)> {
    let mut texts = texts();
    if matches!(field.name(), "page_token" | "cursor" | "etag") {
        texts.push(("forged", "AAAAAAAAAAAAAAAAAAAAAAAA".to_owned()));
    }
    texts
}

/// A well-known message, given as the type that prost has for it.
fn known<M: prost::Message>(
    descriptor: &MessageDescriptor,
    messages: Vec<(&str, M)>,
) -> Named<Value> {
    let dynamic = |message: M| {
        let bytes = message.encode_to_vec();
        Value::Message(DynamicMessage::decode(descriptor.clone(), bytes.as_slice()).unwrap())
    };
    let named = messages.into_iter();
    named
        .map(|(name, message)| (format!("={name}"), dynamic(message)))
        .collect()
}

fn structs() -> Vec<(&'static str, prost_types::Struct)> {
    let object = |key: &str, value: prost_types::Value| prost_types::Struct {
        fields: [(key.to_owned(), value)].into(),
    };
    let mut structs: Vec<_> = values()
        .into_iter()
        .map(|(name, value)| (name, object("key", value)))
        .collect();
    structs.push(("nul_key", object("a\0b", text("x"))));
    structs
}

fn values() -> Vec<(&'static str, prost_types::Value)> {
    use prost_types::{ListValue, Value, value::Kind};
    let value = |kind| Value { kind: Some(kind) };
    let mut deep = value(Kind::BoolValue(true));
    for _ in 0..DEEP {
        deep = value(Kind::ListValue(ListValue { values: vec![deep] }));
    }
    let values = vec![value(Kind::NullValue(0)); MANY];
    let many = value(Kind::ListValue(ListValue { values }));
    vec![
        ("none", Value { kind: None }),
        ("null", value(Kind::NullValue(0))),
        ("nan", value(Kind::NumberValue(f64::NAN))),
        ("infinite", value(Kind::NumberValue(f64::INFINITY))),
        ("nul", text("a\0b")),
        ("huge", text(&"x".repeat(HUGE))),
        ("deep", deep),
        ("many", many),
    ]
}

fn text(text: &str) -> prost_types::Value {
    let kind = prost_types::value::Kind::StringValue(text.to_owned());
    prost_types::Value { kind: Some(kind) }
}

fn timestamps() -> Vec<(&'static str, prost_types::Timestamp)> {
    let time = |seconds, nanos| prost_types::Timestamp { seconds, nanos };
    vec![
        ("least", time(i64::MIN, 0)),
        ("most", time(i64::MAX, i32::MAX)),
        ("before_christ", time(-70_000_000_000, 0)),
        ("year_10000", time(253_402_300_800, 0)),
        ("negative_nanos", time(0, -1)),
    ]
}

fn masks() -> Vec<(&'static str, prost_types::FieldMask)> {
    let mask = |path: &str| prost_types::FieldMask {
        paths: vec![path.to_owned()],
    };
    let mut masks = vec![
        ("empty_path", mask("")),
        ("unknown_path", mask("nothing")),
        ("output_only", mask("create_time")),
        ("identifier", mask("id")),
        ("dots", mask("..")),
        ("too_deep", mask("properties.extra.a.b")),
        ("nul", mask("a\0b")),
        ("long", mask(&"x".repeat(LONG))),
    ];
    let many = vec!["name".to_owned(); MANY];
    masks.push(("many", prost_types::FieldMask { paths: many }));
    masks
}
