//! Where a prompt falls into parts.

use std::sync::LazyLock;

use regex::Regex;

use super::vocabulary::{self, any, compiled};

/// A piece of a prompt that can be set on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) text: String,
    /// What stands before it where the part before it goes on in the same line of type.
    pub(super) joint: String,
}

impl Part {
    pub(super) fn new(text: &str, joint: &str) -> Option<Self> {
        let text = tidy(text)?;
        let joint = joint.to_owned();
        Some(Self { text, joint })
    }
}

/// Between parts that the prompt had on lines of their own.
pub(super) const APART: &str = " · ";

/// The prompt's parts, in order, none empty, without the marks that separated them.
pub(super) fn segments(text: &str) -> Vec<Part> {
    let wedding = WEDDING.is_match(text);
    let lines = text.trim().lines().enumerate();
    lines
        .flat_map(|(index, line)| {
            let line = Line {
                chars: line.chars().collect(),
                first: index == 0,
                wedding,
            };
            line.parts()
        })
        .collect()
}

static WEDDING: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"\b{}\b", any(vocabulary::WEDDINGS))));
static ABBREVIATION: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!("^{}$", any(vocabulary::ABBREVIATIONS))));
static MAY_END: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!("^{}$", any(vocabulary::MAY_END))));
/// A word of a time or of a day.
static TIMED: LazyLock<Regex> = LazyLock::new(|| compiled(r"\d(?:[/:h]|[ap]\.?m\b)"));
static LETTERED: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"\b{}$", any(vocabulary::LETTERED))));
static OPEN_END: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"^{}\b", any(vocabulary::OPEN_ENDS))));
static PLACE_ENDS: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"\b{}$", any(vocabulary::PLACES))));
static PLACE_BEGINS: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"^{}\b", any(vocabulary::PLACES))));

/// The parts in one line of type.
pub(super) fn joined(parts: &[Part]) -> Option<String> {
    let mut out = String::new();
    for part in parts {
        if out.ends_with(['.', '!', '?', '…']) {
            out.push(' ');
        } else if !out.is_empty() {
            out.push_str(&part.joint);
        }
        out.push_str(&part.text);
    }
    (!out.is_empty()).then_some(out)
}

/// Where the clauses of a sentence begin.
pub(super) fn clauses(text: &str) -> impl Iterator<Item = usize> {
    std::iter::once(0).chain(text.match_indices(", ").map(|(at, _)| at + 2))
}

/// One line of a prompt.
struct Line {
    chars: Vec<char>,
    first: bool,
    /// Whether the prompt is about a wedding.
    wedding: bool,
}

enum Break {
    None,
    /// The part ends with this character.
    After,
    /// The character only separates; this would stand between the parts in one line of type.
    Instead(String),
}

impl Line {
    fn parts(&self) -> Vec<Part> {
        let (mut parts, mut part, mut joint) = (Vec::new(), String::new(), APART.to_owned());
        for (index, c) in self.chars.iter().copied().enumerate() {
            let next = match self.break_at(index) {
                Break::None => {
                    part.push(c);
                    continue;
                }
                Break::After => {
                    part.push(c);
                    " ".to_owned()
                }
                Break::Instead(joint) => joint,
            };
            parts.extend(Part::new(&part, &joint));
            part.clear();
            joint = next;
        }
        parts.extend(Part::new(&part, &joint));
        parts
    }

    fn break_at(&self, index: usize) -> Break {
        let c = self.chars[index];
        let before = index.checked_sub(1).and_then(|at| self.chars.get(at));
        let blank = |c: Option<&char>| c.is_none_or(|c| c.is_whitespace());
        let next = blank(self.chars.get(index + 1));
        match c {
            '|' | '•' => Break::Instead(APART.to_owned()),
            ';' => Break::Instead("; ".to_owned()),
            '—' if !self.joins(index) => Break::Instead(" — ".to_owned()),
            '-' | '–' if next && blank(before) && !self.joins(index) => {
                Break::Instead(format!(" {c} "))
            }
            // Later lines may be labelled: "Speaker: An".
            ':' if next && self.first => Break::Instead(": ".to_owned()),
            '.' if next && before != Some(&'.') && !self.abbreviates(index) => Break::After,
            '!' | '?' | '…' if next => Break::After,
            _ => Break::None,
        }
    }

    /// The words before and after a mark.
    fn around(&self, mark: usize) -> (String, String) {
        let text = |chars: &[char]| chars.iter().collect::<String>().trim().to_owned();
        (text(&self.chars[..mark]), text(&self.chars[mark + 1..]))
    }

    /// Whether a dash stands for "to", or between the names of a couple, and parts nothing.
    fn joins(&self, dash: usize) -> bool {
        let (before, after) = self.around(dash);
        let (Some(left), Some(right)) = (
            before.split_whitespace().next_back(),
            after.split_whitespace().next(),
        ) else {
            return false;
        };
        let named = |word: &str| word.chars().next().is_some_and(char::is_uppercase);
        let hour = left.ends_with(|c: char| c.is_ascii_digit() || "hHmM".contains(c));
        is_range(left, right)
            || hour && OPEN_END.is_match(&after)
            || PLACE_ENDS.is_match(&before) && PLACE_BEGINS.is_match(&after)
            || self.wedding && named(left) && named(right)
    }

    /// Whether the full stop at an index ends an abbreviation or an item's number, and no sentence.
    fn abbreviates(&self, stop: usize) -> bool {
        let (before, after) = self.around(stop);
        let (before, word) = before
            .rsplit_once(char::is_whitespace)
            .unwrap_or(("", &before));
        let word = word.trim_start_matches(['(', '“', '"']);
        let last = word.rsplit(['.', '-']).next().unwrap_or_default();
        if after.is_empty() {
            return false;
        }
        if MAY_END.is_match(last) || MAY_END.is_match(word) {
            return !after.starts_with(char::is_uppercase);
        }
        let item = before.is_empty() && word.chars().all(|c| c.is_ascii_digit());
        item || is_initial(before, last) || ABBREVIATION.is_match(last)
    }
}

/// Whether a word is a single letter that stands for more: "Q. 1", "J. R. Moore", but not "size L." or "500 g."
fn is_initial(before: &str, word: &str) -> bool {
    let mut chars = word.chars();
    let (Some(letter), None) = (chars.next(), chars.next()) else {
        return false;
    };
    let unit = letter.is_lowercase() && before.ends_with(|c: char| c.is_ascii_digit());
    letter.is_alphabetic() && !unit && !LETTERED.is_match(before)
}

/// Whether a dash between two words stands for "to": "9am - 5pm", "20/11 - 25/11", "45 - 60k", but not "2026 - 5K".
fn is_range(left: &str, right: &str) -> bool {
    let value = |word: &str| -> Option<f64> {
        let digits = word.chars().filter(char::is_ascii_digit);
        digits.collect::<String>().parse().ok()
    };
    let (Some(low), Some(high)) = (value(left), value(right)) else {
        return false;
    };
    if left.chars().all(|c| c.is_ascii_digit() || ".,".contains(c)) {
        // Nobody sells something for six to two thousand.
        let near = low <= high && high <= low * 20.0;
        return near && right.starts_with(|c: char| c.is_ascii_digit());
    }
    !TIMED.is_match(left) || TIMED.is_match(right)
}

fn tidy(part: &str) -> Option<String> {
    let text = part.split_whitespace().collect::<Vec<_>>().join(" ");
    let mark = |c: char| c.is_whitespace() || ",-–·:".contains(c);
    let start = text.find(|c| !mark(c) && c != '.')?;
    // "-30%" begins with its sign.
    let sign = text[..start]
        .chars()
        .next_back()
        .filter(|c| "-–".contains(*c));
    let sign = sign.filter(|_| text[start..].starts_with(|c: char| c.is_ascii_digit()));
    let text = &text[start - sign.map_or(0, char::len_utf8)..];
    let text = unquoted(text.trim_end_matches(mark));
    text.chars()
        .any(char::is_alphanumeric)
        .then(|| text.to_owned())
}

/// Without quotation marks, if they enclose the whole.
fn unquoted(text: &str) -> &str {
    [('"', '"'), ('“', '”'), ('«', '»')]
        .iter()
        .find_map(|(open, close)| text.strip_prefix(*open)?.strip_suffix(*close))
        .unwrap_or(text)
}

/// Words before which a long sentence may be cut in two.
const CONNECTORS: [&str; 18] = [
    "tại", "với", "dành", "cho", "để", "từ", "khi", "trong", "cùng", "và", "at", "with", "for",
    "from", "in", "on", "and", "when",
];

/// A sentence too long for a headline, as its headline and the rest.
pub(super) fn split_long(text: &str) -> (&str, &str) {
    const COMFORTABLE: usize = 52;
    const MOST: usize = 72;
    let total = text.chars().count();
    if total <= COMFORTABLE {
        return (text, "");
    }
    let fits = |at: usize| (12..=MOST).contains(&text[..at].chars().count());
    let comma = text
        .match_indices(", ")
        .map(|(at, _)| at)
        .find(|at| fits(*at));
    let connects =
        |word: Option<&str>| word.is_some_and(|w| CONNECTORS.contains(&w.to_lowercase().as_str()));
    let connector = text
        .match_indices(' ')
        .map(|(at, _)| at)
        .filter(|at| fits(*at))
        // "dành cho" is one thing.
        .filter(|at| !connects(text[..*at].rsplit(' ').next()))
        .filter(|at| connects(text[at + 1..].split(' ').next()))
        // Late enough to say something, early enough to be large.
        .min_by_key(|at| text[..*at].chars().count().abs_diff(32));
    let space = || {
        text.match_indices(' ')
            .map(|(at, _)| at)
            .rfind(|at| fits(*at))
    };
    let at = comma
        .or(connector)
        .or_else(|| if total > MOST { space() } else { None });
    match at {
        Some(at) => (&text[..at], text[at..].trim_start_matches([',', ' '])),
        None => (text, ""),
    }
}
