//! Whether what a command printed is what a document shows, which leaves out parts as `...`.

use serde_json::{Deserializer, Map, Value};

/// The key that stands for parts left out.
const LEFT_OUT: &str = "...";

/// Fields whose values differ from run to run; what is shown need only be of the same type.
const VOLATILE: [&str; 12] = [
    "blurhash",
    "cursor",
    "downloadUrl",
    "hash",
    "jobCounts",
    "mediaUrl",
    "nextPageToken",
    "progress",
    "progressMessage",
    "sha256",
    "tinyPreview",
    "workerId",
];

/// Facts that `generate` prints and that differ from run to run.
const CHANCE: [&str; 5] = ["account", "BlurHash", "File", "Seed", "URL"];

/// What the size of a file is told in, and behind a bracket how long something took.
const UNITS: [&str; 5] = ["B", "KiB", "MiB", "bytes", "ms)"];

/// How `printed` differs from what is `shown`; `None` when it is alike, or nothing is shown.
pub(super) fn unlike(shown: &str, printed: &str) -> Option<String> {
    if shown.is_empty() {
        let failed = printed.to_ascii_lowercase().starts_with("error");
        return failed.then(|| "it fails".to_owned());
    }
    if shown.starts_with('{') {
        unlike_messages(shown, printed)
    } else {
        unlike_lines(shown, printed)
    }
}

/// A line of `...` stands for any lines; how often progress is told is chance.
fn unlike_lines(shown: &str, printed: &str) -> Option<String> {
    let mut printed = printed.lines().filter(|line| !tells_progress(line));
    let mut may_skip = false;
    for line in shown.lines().filter(|line| !tells_progress(line)) {
        if line.trim() == LEFT_OUT {
            may_skip = true;
            continue;
        }
        let found = if may_skip {
            printed.any(|other| same_line(line, other))
        } else {
            printed.next().is_some_and(|other| same_line(line, other))
        };
        if !found {
            return Some(format!("this line is not printed there: {line}"));
        }
        may_skip = false;
    }
    let rest = printed.next().filter(|_| !may_skip);
    rest.map(|line| format!("this line is not shown: {line}"))
}

/// Such as `1/1 85% encoding` and `2: processing 85% encoding`.
fn tells_progress(line: &str) -> bool {
    let words: Vec<_> = line.split_whitespace().collect();
    let is_step = words.first().is_some_and(|word| word.contains('/'));
    let is_percentage = |word: &&str| word.ends_with('%');
    (is_step && words.get(1).is_some_and(is_percentage))
        || (words.get(1) == Some(&"processing") && words.get(2).is_some_and(is_percentage))
}

/// Equal but for what differs from run to run: facts of chance, how large a file is, and how long something took.
fn same_line(shown: &str, printed: &str) -> bool {
    let (shown, printed): (Vec<_>, Vec<_>) = (
        shown.split_whitespace().collect(),
        printed.split_whitespace().collect(),
    );
    let by_chance = shown.first().is_some_and(|label| CHANCE.contains(label));
    let same = |(index, (one, other)): (usize, (&&str, &&str))| {
        let is_size = shown
            .get(index + 1)
            .is_some_and(|unit| UNITS.contains(unit));
        let is_number = |word: &str| word.trim_start_matches('(').parse::<f64>().is_ok();
        let both_numbers = is_number(one) && is_number(other);
        one == other || (by_chance && index > 0) || (is_size && both_numbers)
    };
    shown.len() == printed.len() && shown.iter().zip(&printed).enumerate().all(same)
}

/// How often a stream tells of progress is chance, so one of those messages is like each that is shown.
fn unlike_messages(shown: &str, printed: &str) -> Option<String> {
    let shown = match messages(&spelled_out(shown)) {
        Ok(shown) => shown,
        Err(error) => return Some(format!("what is shown is no JSON: {error}")),
    };
    let printed = match messages(printed) {
        Ok(printed) => printed,
        Err(error) => return Some(format!("what is printed is no JSON: {error}")),
    };
    let (told, shown): (Vec<_>, Vec<_>) = shown.into_iter().partition(is_progress);
    let (heard, printed): (Vec<_>, Vec<_>) = printed.into_iter().partition(is_progress);
    if shown.len() != printed.len() {
        return Some(format!(
            "{} messages are shown, {} printed",
            shown.len(),
            printed.len()
        ));
    }
    let progress = told
        .iter()
        .flat_map(|one| heard.first().map(|other| (one, other)));
    let pairs = shown.iter().zip(&printed).chain(progress);
    pairs.enumerate().find_map(|(number, (one, other))| {
        unlike_value(&format!("message {}", number + 1), one, other)
    })
}

/// The cursors that are shown, each with the one printed in its place.
pub(super) fn cursors(shown: &str, printed: &str) -> Vec<(String, String)> {
    let of = |text: &str| -> Vec<String> {
        let messages = messages(text).unwrap_or_default();
        let told = messages.iter().filter(|message| !is_progress(message));
        let cursors = told.filter_map(|message| message["cursor"].as_str());
        cursors.map(str::to_owned).collect()
    };
    of(&spelled_out(shown))
        .into_iter()
        .zip(of(printed))
        .collect()
}

fn is_progress(message: &Value) -> bool {
    let event = message["event"].as_str().unwrap_or_default();
    event.ends_with("_EVENT_PROGRESS") || event.ends_with("_EVENT_HEARTBEAT")
}

fn messages(text: &str) -> Result<Vec<Value>, serde_json::Error> {
    Deserializer::from_str(text).into_iter().collect()
}

/// The document's JSON with a member or an element in the place of each `...`.
fn spelled_out(shown: &str) -> String {
    let mut text = String::new();
    let mut open = Vec::new();
    let mut in_text = false;
    let mut rest = shown;
    while let Some(letter) = rest.chars().next() {
        if !in_text && rest.starts_with(LEFT_OUT) {
            let member = open.last() == Some(&'{');
            text.push_str(if member { "\"...\": 0" } else { "\"...\"" });
            rest = &rest[LEFT_OUT.len()..];
            continue;
        }
        match letter {
            '"' => in_text = !in_text,
            '{' | '[' if !in_text => open.push(letter),
            '}' | ']' if !in_text => {
                open.pop();
            }
            _ => {}
        }
        text.push(letter);
        rest = &rest[letter.len_utf8()..];
    }
    text
}

fn unlike_value(path: &str, shown: &Value, printed: &Value) -> Option<String> {
    match (shown, printed) {
        (Value::Object(shown), Value::Object(printed)) => unlike_object(path, shown, printed),
        (Value::Array(shown), Value::Array(printed)) => unlike_array(path, shown, printed),
        // 7 and 7.0 are one number.
        (Value::Number(shown), Value::Number(printed)) if shown.as_f64() == printed.as_f64() => {
            None
        }
        _ => (shown != printed).then(|| format!("{path}: {shown} is shown, {printed} printed")),
    }
}

fn unlike_object(
    path: &str,
    shown: &Map<String, Value>,
    printed: &Map<String, Value>,
) -> Option<String> {
    let unexpected = printed.keys().find(|key| !shown.contains_key(*key));
    if let Some(key) = unexpected.filter(|_| !shown.contains_key(LEFT_OUT)) {
        return Some(format!("{path}.{key} is not shown"));
    }
    let shown = shown.iter().filter(|(key, _)| *key != LEFT_OUT);
    shown.into_iter().find_map(|(key, value)| {
        let path = format!("{path}.{key}");
        match printed.get(key) {
            None => Some(format!("{path} is not printed")),
            Some(other) if is_volatile(key) => {
                let alike = std::mem::discriminant(value) == std::mem::discriminant(other);
                (!alike).then(|| format!("{path}: {other} is of another type"))
            }
            Some(other) => unlike_value(&path, value, other),
        }
    })
}

fn unlike_array(path: &str, shown: &[Value], printed: &[Value]) -> Option<String> {
    let is_part = shown.last().is_some_and(|last| last == LEFT_OUT);
    let shown = &shown[..shown.len() - usize::from(is_part)];
    if printed.len() < shown.len() || printed.len() > shown.len() && !is_part {
        return Some(format!(
            "{path} has {} elements, {} are shown",
            printed.len(),
            shown.len()
        ));
    }
    let mut pairs = shown.iter().zip(printed).enumerate();
    pairs.find_map(|(index, (one, other))| unlike_value(&format!("{path}[{index}]"), one, other))
}

fn is_volatile(key: &str) -> bool {
    VOLATILE.contains(&key) || key.ends_with("Time")
}

#[test]
fn what_is_left_out_may_be_anything_and_the_rest_must_agree() {
    let printed = r#"{"a": [1, 2], "b": {"c": "x"}, "createTime": "now"}"#;
    for alike in [
        "",
        printed,
        "{ ... }",
        r#"{ "a": [1, ...], ... }"#,
        r#"{"createTime": "then", "b": { "c": "x" }, ...}"#,
    ] {
        assert_eq!(unlike(alike, printed), None, "{alike}");
    }
    for other in [
        "{}",
        r#"{ "a": [1], ... }"#,
        r#"{ "a": [2, ...], ... }"#,
        r#"{ "b": { "c": "y" }, ... }"#,
        r#"{ "d": 1, ... }"#,
        r#"{ "createTime": 1, ... }"#,
        "{ ... }\n{ ... }",
        "{ broken",
    ] {
        assert!(unlike(other, printed).is_some(), "{other}");
    }
}

#[test]
fn lines_are_compared_one_by_one() {
    assert_eq!(unlike("a\n...\nd\n", "a\nb\nc\nd\n"), None);
    assert_eq!(unlike("a\n...\n", "a\nb\n"), None);
    for other in ["a\n", "b\n...\n", "a\n...\nc\n", "a\nb\nc\n"] {
        assert!(unlike(other, "a\nb\n").is_some(), "{other}");
    }
    for failure in ["ERROR:\n", "error: no\n"] {
        assert!(unlike("", failure).is_some());
    }
}

#[test]
fn what_a_command_prints_by_chance_may_differ_and_nothing_else() {
    let shown = "1/1 waiting\n1/1 0% working\nFile  a.png\nSize  8x9, 1.5 KiB\nSeed  7\n";
    let printed = "1/1 waiting\n1/1 60% drawing\n1/1 85% encoding\nFile  b.png\nSize  8x9, 20.0 KiB\nSeed  8\n";
    assert_eq!(unlike(shown, printed), None);
    assert_eq!(
        unlike("a.png: 8x9, 12 bytes\n", "a.png: 8x9, 13 bytes\n"),
        None
    );
    for other in [
        printed.replace("8x9", "8x8"),
        printed.replace("waiting", "ready"),
        printed.replace("Seed", "Sheet"),
        printed.replace("20.0 KiB", "some KiB"),
        printed.replace("20.0 KiB", "20.0 MiB"),
    ] {
        assert!(unlike(shown, &other).is_some(), "{other}");
    }
}
