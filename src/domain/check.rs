//! Gathers every problem of a message, so that a client learns all of them at once.

use serde_json::Value;
use url::Url;

use super::{Error, Flaw, JsonMap, Number, Problem, Violation, Violations};

const MAX_URL_CHARS: usize = 2_048;
const MAX_JSON_BYTES: usize = 64 * 1024;
const MAX_JSON_DEPTH: usize = 16;
/// In memory each takes many times what it takes as text.
const MAX_JSON_VALUES: usize = 1_024;
const MAX_ETAG_CHARS: usize = 64;
const MAX_SEARCH_CHARS: usize = 200;
/// Far beyond any catalogue, and far from where a client that counts on would overflow.
const ORDER_INDEXES: std::ops::RangeInclusive<i32> = -1_000_000..=1_000_000;

/// The problems found so far.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    prefix: &'static str,
    violations: Violations,
}

impl Checks {
    /// For a message within another one: its fields are told with `prefix`, such as `feature.`, before them.
    pub fn within(prefix: &'static str) -> Self {
        Self {
            prefix,
            ..Self::default()
        }
    }

    /// Notes a problem of a field.
    pub fn add(&mut self, field: impl Into<String>, problem: impl Into<Problem>) {
        let prefix = self.prefix;
        self.violations
            .add(|| Violation::new(format!("{prefix}{}", field.into()), problem));
    }

    /// Notes the problem unless `holds`. It is made only if it will be told.
    pub fn require<P: Into<Problem>>(
        &mut self,
        holds: bool,
        field: &str,
        problem: impl FnOnce() -> P,
    ) {
        if !holds {
            let prefix = self.prefix;
            self.violations
                .add(|| Violation::new(format!("{prefix}{field}"), problem()));
        }
    }

    /// A number within bounds, both of which are allowed.
    pub fn range<N: Number>(&mut self, field: &str, number: N, min: N, max: N) {
        self.require((min..=max).contains(&number), field, || {
            Problem::out_of_range(min, max, number)
        });
    }

    /// A number from 0 on.
    pub fn not_negative(&mut self, field: &str, number: i64) {
        self.require(number >= 0, field, || Problem::negative(number));
    }

    /// Whether a problem of the field is told.
    pub fn tells(&self, field: &str) -> bool {
        let told = |violation: &Violation| violation.field.strip_prefix(self.prefix) == Some(field);
        self.violations.iter().any(told)
    }

    /// Whether no problem was found so far.
    pub fn is_empty(&self) -> bool {
        self.violations.is_empty()
    }

    /// Adds what was found elsewhere, under the names that it has there.
    pub fn extend(&mut self, violations: Violations) {
        self.violations.extend(violations);
    }

    /// `value` if nothing was found, else every problem.
    pub fn finish<T>(self, value: T) -> Result<T, Error> {
        if self.violations.is_empty() {
            Ok(value)
        } else {
            Err(Error::Validation(self.violations))
        }
    }

    /// The problems, without a value that they would stand in the way of.
    pub fn into_violations(self) -> Violations {
        self.violations
    }

    /// An identifier that must be given.
    pub fn id(&mut self, field: &str, id: i64) {
        let flaw = if id == 0 {
            Flaw::Required
        } else {
            Flaw::OutOfRange
        };
        self.require(id > 0, field, || {
            let problem = flaw.says(format!("is required and positive, got {id}"));
            problem.min(1).found(id)
        });
    }

    /// An identifier in a filter, where 0 means any.
    pub fn optional_id(&mut self, field: &str, id: i64) {
        self.not_negative(field, id);
    }

    /// Text of at most `max_chars` characters, without control characters other than line breaks and tabs.
    pub fn text(&mut self, field: &str, text: &str, max_chars: usize) {
        let chars = text.chars().count();
        self.require(chars <= max_chars, field, || {
            let words = format!("must have at most {max_chars} characters, has {chars}");
            Flaw::TooLong.says(words).max(max_chars).found(chars)
        });
        let control = text
            .chars()
            .find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
        if let Some(control) = control.map(u32::from) {
            let words = format!("must not contain control characters, has U+{control:04X}");
            self.add(field, Flaw::Malformed.says(words));
        }
    }

    /// Text of one line of at most `max_chars` characters: no control characters at all.
    pub fn line(&mut self, field: &str, text: &str, max_chars: usize) {
        self.text(field, text, max_chars);
        self.require(!text.contains(['\n', '\r', '\t']), field, || {
            Flaw::Malformed.says("must not contain line breaks or tabs")
        });
    }

    /// A version that the caller has seen; it may be left out.
    pub fn etag(&mut self, field: &str, etag: &str) {
        self.line(field, etag, MAX_ETAG_CHARS);
    }

    /// A position in lists.
    pub fn order_index(&mut self, field: &str, index: i32) {
        self.range(field, index, *ORDER_INDEXES.start(), *ORDER_INDEXES.end());
    }

    /// A text to search for, in a filter.
    pub fn search(&mut self, field: &str, text: &str) {
        self.line(field, text, MAX_SEARCH_CHARS);
    }

    /// Notes a list that is too long. Returns whether it may be looked into.
    pub fn count(&mut self, field: &str, count: usize, most: usize) -> bool {
        self.require(count <= most, field, || Problem::too_many(most, count));
        count <= most
    }

    /// A machine-friendly name.
    pub fn name(&mut self, field: &str, name: &str) {
        self.require(is_name(name), field, || {
            Flaw::Malformed.says("must have 1 to 128 characters of a-z, 0-9, \"_\" and \"-\"")
        });
    }

    /// An http or https URL with a host.
    pub fn url(&mut self, field: &str, text: &str) {
        if text.chars().count() > MAX_URL_CHARS {
            let words = format!("must have at most {MAX_URL_CHARS} characters");
            self.add(field, Flaw::TooLong.says(words).max(MAX_URL_CHARS));
            return;
        }
        let well_formed = Url::parse(text)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
        let clean = !text.chars().any(|c| c.is_control() || c.is_whitespace());
        self.require(well_formed && clean, field, || {
            Flaw::Malformed.says("must be a well-formed http or https URL")
        });
    }

    /// A URL that may be left out.
    pub fn optional_url(&mut self, field: &str, text: &str) {
        if !text.is_empty() {
            self.url(field, text);
        }
    }

    /// An open-ended object: bounded in size, depth and number of values, storable on every database.
    pub fn json(&mut self, field: &str, map: &JsonMap) {
        let bytes = serde_json::to_string(map).map_or(usize::MAX, |text| text.len());
        self.require(bytes <= MAX_JSON_BYTES, field, || {
            let words = format!("must have at most {MAX_JSON_BYTES} bytes as JSON, has {bytes}");
            Flaw::TooLong.says(words).max(MAX_JSON_BYTES).found(bytes)
        });
        let depth = 1 + map.values().map(depth).max().unwrap_or(0);
        self.require(depth <= MAX_JSON_DEPTH, field, || {
            let words = format!("must be nested at most {MAX_JSON_DEPTH} deep, is {depth}");
            Flaw::OutOfRange
                .says(words)
                .max(MAX_JSON_DEPTH)
                .found(depth)
        });
        let values: usize = map.values().map(values).sum();
        self.require(values <= MAX_JSON_VALUES, field, || {
            let words = format!("must hold at most {MAX_JSON_VALUES} values, holds {values}");
            Flaw::TooMany.says(words).max(MAX_JSON_VALUES).found(values)
        });
        let nul = map
            .iter()
            .any(|(key, value)| key.contains('\0') || has_nul(value));
        self.require(!nul, field, || {
            Flaw::Malformed.says("must not contain the character U+0000")
        });
    }
}

/// Whether it can be the name of a feature, or of a template within one.
pub fn is_name(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.chars().all(is_in_name)
}

/// Whether a machine-friendly name may have the character.
pub(super) fn is_in_name(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-')
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// How many values there are, with all that objects and arrays hold.
fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(map) => map.values().map(values).sum::<usize>(),
        _ => 0,
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(map) => map
            .iter()
            .any(|(key, value)| key.contains('\0') || has_nul(value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(check: impl FnOnce(&mut Checks)) -> Vec<Violation> {
        let mut checks = Checks::default();
        check(&mut checks);
        checks.into_violations().into_iter().collect()
    }

    #[test]
    fn no_description_is_made_that_is_not_told() {
        let mut made = 0;
        let found = problems(|checks| {
            for _ in 0..1_000 {
                checks.require(false, "field", || {
                    made += 1;
                    "is wrong".to_owned()
                });
            }
        });
        assert_eq!((made, found.len()), (32, 32));
    }

    #[test]
    fn only_http_and_https_urls_with_a_host_are_well_formed() {
        for good in [
            "http://a.vn",
            "https://shop.vn/p?q=1#x",
            "https://[::1]:8080/a",
        ] {
            assert_eq!(problems(|checks| checks.url("u", good)), [], "{good}");
        }
        for bad in [
            "",
            "ftp://a.vn",
            "http://",
            "a.vn/x",
            "https://a.vn/a b",
            "javascript:alert(1)",
        ] {
            assert_eq!(problems(|checks| checks.url("u", bad)).len(), 1, "{bad}");
        }
    }

    #[test]
    fn text_with_nul_is_refused_and_line_breaks_are_not() {
        assert_eq!(problems(|checks| checks.text("t", "a\nb\tc", 5)), []);
        assert_eq!(problems(|checks| checks.text("t", "a\0b", 5)).len(), 1);
    }

    #[test]
    fn a_line_has_no_line_breaks() {
        assert_eq!(problems(|checks| checks.line("t", "a b", 5)), []);
        for broken in ["a\nb", "a\tb", "a\rb", "a\0b"] {
            assert_eq!(
                problems(|checks| checks.line("t", broken, 5)).len(),
                1,
                "{broken:?}"
            );
        }
    }

    #[test]
    fn fields_of_a_message_within_another_are_told_with_their_whole_path() {
        let mut checks = Checks::within("feature.");
        checks.id("id", 0);
        checks.add("name", "is taken");
        let fields: Vec<_> = checks
            .into_violations()
            .into_iter()
            .map(|violation| violation.field)
            .collect();
        assert_eq!(fields, ["feature.id", "feature.name"]);
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        assert_eq!(problems(|checks| checks.text("t", "ếếế", 3)), []);
        assert_eq!(problems(|checks| checks.text("t", "ếếếế", 3)).len(), 1);
    }

    #[test]
    fn a_deep_or_huge_object_is_refused() {
        let mut value = json!(1);
        for _ in 0..20 {
            value = json!({ "a": value });
        }
        let deep = value.as_object().cloned().unwrap_or_default();
        assert_eq!(problems(|checks| checks.json("m", &deep)).len(), 1);
        let huge = json!({ "a": "x".repeat(70_000) });
        let huge = huge.as_object().cloned().unwrap_or_default();
        assert_eq!(problems(|checks| checks.json("m", &huge)).len(), 1);
    }
}
