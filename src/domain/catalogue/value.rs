//! JSON in TOML. TOML has no null, so that is the table `{ "$null" = true }`; a key that looks like that one gets one more
//! `$` before it. A whole number beyond TOML's 64 signed bits becomes a float.

use serde_json::Value as Json;
use toml::{Table, Value as Toml};

use crate::domain::{Checks, Flaw, JsonMap};

const NULL: &str = "$null";

pub(super) fn to_toml(json: &Json) -> Toml {
    match json {
        Json::Null => Toml::Table(Table::from_iter([(NULL.to_owned(), Toml::Boolean(true))])),
        Json::Bool(value) => Toml::Boolean(*value),
        Json::Number(number) => number.as_i64().map_or_else(
            || Toml::Float(number.as_f64().unwrap_or_default()),
            Toml::Integer,
        ),
        Json::String(text) => Toml::String(text.clone()),
        Json::Array(items) => Toml::Array(items.iter().map(to_toml).collect()),
        Json::Object(map) => Toml::Table(to_table(map)),
    }
}

pub(super) fn to_table(map: &JsonMap) -> Table {
    let escaped = |key: &String| match is_escaped_null(key) {
        true => format!("${key}"),
        false => key.clone(),
    };
    map.iter()
        .map(|(key, value)| (escaped(key), to_toml(value)))
        .collect()
}

/// One or more `$`, and then "null".
fn is_escaped_null(key: &str) -> bool {
    key.starts_with('$') && key.trim_start_matches('$') == "null"
}

/// What stands under `path` in a file as JSON. A time is the text that it is written as.
pub(super) fn to_json(toml: Toml, path: &str, checks: &mut Checks) -> Json {
    match toml {
        Toml::String(text) => Json::String(text),
        Toml::Integer(number) => Json::from(number),
        Toml::Boolean(value) => Json::Bool(value),
        Toml::Datetime(time) => Json::String(time.to_string()),
        Toml::Float(number) => {
            checks.require(number.is_finite(), path, || {
                Flaw::Malformed.says(format!("must be a finite number, got {number}"))
            });
            Json::from(number)
        }
        Toml::Array(items) => {
            let items = items.into_iter().enumerate();
            items
                .map(|(index, item)| to_json(item, &format!("{path}[{index}]"), checks))
                .collect()
        }
        Toml::Table(table) if is_null(&table) => Json::Null,
        Toml::Table(table) => Json::Object(to_map(table, path, checks)),
    }
}

fn is_null(table: &Table) -> bool {
    table.len() == 1 && table.get(NULL).and_then(Toml::as_bool) == Some(true)
}

pub(super) fn to_map(table: Table, path: &str, checks: &mut Checks) -> JsonMap {
    let mut map = JsonMap::new();
    for (key, value) in table {
        let value = to_json(value, &join(path, &key), checks);
        let key = match key.strip_prefix('$') {
            Some(unescaped) if is_escaped_null(unescaped) => unescaped.to_owned(),
            _ => key,
        };
        map.insert(key, value);
    }
    map
}

/// The path of a key in the table at `path`; the file itself has none.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn there_and_back(json: &Json) -> Json {
        let mut checks = Checks::default();
        let document = Table::from_iter([("value".to_owned(), to_toml(json))]);
        let text = toml::to_string_pretty(&document).unwrap_or_else(|error| panic!("{error}"));
        let read: Table = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let read = to_map(read, "", &mut checks);
        assert!(checks.into_violations().is_empty());
        read["value"].clone()
    }

    #[test]
    fn nulls_and_keys_that_look_like_them_come_back() {
        for json in [
            json!(null),
            json!([null, [null], {}]),
            json!({ "$null": true }),
            json!({ "$null": null, "$$null": true, "null": 1, "$": 2, "$nullable": 3 }),
            json!({ "a": { "$$$null": { "$null": [true] } } }),
        ] {
            assert_eq!(there_and_back(&json), json);
        }
    }

    #[test]
    fn a_number_beyond_toml_s_is_the_nearest_float_and_infinity_is_refused() {
        assert_eq!(there_and_back(&json!(u64::MAX)), json!(u64::MAX as f64));
        let mut checks = Checks::default();
        to_json(Toml::Array(vec![Toml::Float(f64::NAN)]), "a", &mut checks);
        let violations = checks.into_violations();
        let fields: Vec<_> = violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["a[0]"]);
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let key = "[$]{0,2}(null)?[a-zế\"'.\\\\ \n]{0,3}";
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            "[\\PC\n\r\t\u{0}\u{1b}\"'\\\\]{0,8}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
                prop::collection::btree_map(key, inner, 0..5)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_comes_back_from_a_file(json in any_json()) {
            prop_assert_eq!(there_and_back(&json), json);
        }
    }
}
