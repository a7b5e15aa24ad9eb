//! Finds what says when something is.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::split::clauses;
use super::vocabulary::{self, any, compiled};

/// Hours: "9h", "20h30", "19:30", "8am", "4.30 pm", "2-5pm", "10 giờ sáng".
const HOUR: &str = concat!(
    r"(?:\b(?:\d{1,2}(?:[:.]\d{2})?\s?[-–—]\s?)?(?:1[0-2]|0?[1-9])(?:[:.][0-5]\d)?\s?(?:[ap]m\b|[ap]\.m\.)",
    r"|\b(?:[01]?\d|2[0-3])(?:h(?:[0-5]\d)?|g[0-5]\d|:[0-5]\d)\b",
    r"|\b(?:[01]?\d|2[0-3])\sgiờ\s(?:[0-5]\d|rưỡi|sáng|trưa|chiều|tối|đêm)\b)",
);
/// Days with their month: "22/11", "24.10.2026", "5 tháng 9", "rằm tháng Tám"; "ngày 5" alone.
const DAY: &str = concat!(
    r"(?:\b\d{4}-\d{2}-\d{2}\b",
    r"|\b\d{1,2}(?:/\d{1,2}/|\.\d{1,2}\.|-\d{1,2}-)(?:\d{4}|\d{2})\b",
    r"|\b\d{1,2}/\d{1,2}\b",
    r"|\b(?:\d{1,2}|rằm)\stháng\s(?:\d{1,2}|giêng|hai|ba|tư|năm|sáu|bảy|tám|chín|mười|chạp)\b",
    r"|\b(?:mùng|mồng)\s\d{1,2}\b",
    r"|\bngày\s\d{1,2}(?:/\d{1,2}(?:/\d{2,4})?)?\b)",
);

/// "14 March", "10-16 March", "July 18", "June 12, 2026".
static ENGLISH_DAY: LazyLock<String> = LazyLock::new(|| {
    let month = any(vocabulary::MONTHS);
    let day = r"\d{1,2}(?:st|nd|rd|th)?";
    let days = format!(r"{day}(?:\s?[-–—]\s?{day})?");
    format!(
        r"(?:\b{days}\s(?:of\s)?{month}\b(?:,?\s\d{{4}})?|\b{month}\.?\s{days}\b(?:,?\s\d{{4}}\b)?)"
    )
});
static MOMENT: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!("{HOUR}|{DAY}|{}", *ENGLISH_DAY)));
static WEEKDAY: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"\b{}\b", any(vocabulary::WEEKDAYS))));
static FRACTION: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\d{1,2}/\d{1,2}$"));
static DAY_ALONE: LazyLock<Regex> = LazyLock::new(|| compiled(r"^ngày\s\d{1,2}$"));
static HOURS: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\d{1,2}h$"));
static TAKES: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"\b{}\s$", any(vocabulary::TAKES))));
static RATED: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"\b{}\s$", any(vocabulary::RATED))));

fn when() -> String {
    let words = [
        vocabulary::WHEN,
        vocabulary::WEEKDAYS,
        vocabulary::RELATIVE_DAYS,
    ]
    .concat();
    format!(r"\b{}\b", any(&words))
}

/// What may stand right before a day: "thứ bảy", "lễ hội ngày", "từ", "19h,".
static LEADS_DAY: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"(?:{}|{HOUR}|{DAY})[\s,–-]+$", when())));
/// What may stand right behind a day, where no noun may: its end, a place, another word of time.
static ENDS_DAY: LazyLock<Regex> = LazyLock::new(|| {
    compiled(&format!(
        r"^(?:\s*(?:$|[.,;!?)(–-])|\s(?:{}|{}\b|{HOUR}|\d{{4}}\b))",
        when(),
        any(vocabulary::WHERE)
    ))
});
/// A run of words that all are about time.
static RUN: LazyLock<Regex> = LazyLock::new(|| {
    compiled(&format!(
        r"^(?:(?:{HOUR}|{DAY}|{}|{}|\b\d{{1,2}}\b|\b\d{{4}}\b|&|[-–—])[\s,:]*)+",
        *ENGLISH_DAY,
        when()
    ))
});
/// Words with which the day of a sentence begins.
static OPENS: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!("^(?:{}|{})", when(), *ENGLISH_DAY)));
static LABEL: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"^{}:?\s", any(vocabulary::LABELS))));
static PLACE: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"^{}\b", any(vocabulary::WHERE))));

/// Longer ones are sentences.
const LONGEST: usize = 64;

/// Whether a text says when something is, and is short enough to be set apart for that: one of its clauses begins with
/// the time, or with the place. "Closed on 1 May" is a sentence.
pub(super) fn tells_when(text: &str) -> bool {
    let told = |start: usize| {
        let label = LABEL.find(&text[start..]).map_or(0, |label| label.end());
        let start = start + label;
        let run = RUN.find(&text[start..]).map_or(0, |run| run.end());
        let place = PLACE.is_match(&text[start..]);
        moments(text).any(|found| found.start >= start && (place || found.end <= start + run))
    };
    text.chars().count() <= LONGEST && (clauses(text).any(told) || only_days(text))
}

/// Whether a text begins with words of time.
pub(super) fn begins_with_time(text: &str) -> bool {
    RUN.is_match(text)
}

/// Whether a clause behind a time cannot say where it is: places have names, or a word before them.
pub(super) fn is_no_place(text: &str) -> bool {
    let clause = text.split(", ").next().unwrap_or_default();
    let named = clause.contains(|c: char| c.is_uppercase() || c.is_ascii_digit());
    !named && !PLACE.is_match(clause) && !begins_with_time(clause)
}

/// Where the time begins with which a sentence ends: "Khai giảng lớp vẽ | ngày 5/9".
pub(super) fn tail(text: &str) -> Option<usize> {
    let words = text.match_indices(' ').map(|(at, _)| at + 1);
    words.skip(1).find(|start| ends_with_time(text, *start))
}

fn ends_with_time(text: &str, start: usize) -> bool {
    let (before, rest) = text.split_at(start);
    if rest.chars().count() > LONGEST || !OPENS.is_match(rest) || LEADS_DAY.is_match(before) {
        return false;
    }
    let run = RUN.find(rest).map_or("", |run| run.as_str());
    let behind = &rest[run.len()..];
    let ends = behind.is_empty() || PLACE.is_match(behind) || run.ends_with(", ");
    let within = |found: Range<usize>| found.start >= start && found.end <= start + run.len();
    ends && moments(text).any(within)
}

/// "Thứ bảy này", "every Sunday".
fn only_days(text: &str) -> bool {
    WEEKDAY.is_match(text) && RUN.find(text).is_some_and(|run| run.len() == text.len())
}

fn moments(text: &str) -> impl Iterator<Item = Range<usize>> {
    let found = MOMENT.find_iter(text).map(|found| found.range());
    found.filter(|at| is_moment(text, at))
}

fn is_moment(text: &str, at: &Range<usize>) -> bool {
    let (before, found, after) = (&text[..at.start], &text[at.clone()], &text[at.end..]);
    let attached = |c: char| c.is_alphanumeric() || ".,:/'".contains(c);
    if before.ends_with(attached) || after.starts_with(['/', '%']) || !in_calendar(found) {
        return false;
    }
    if HOURS.is_match(found) {
        return !TAKES.is_match(before);
    }
    if DAY_ALONE.is_match(found) {
        // "3 ngày 2 đêm" is how long it takes.
        return ENDS_DAY.is_match(after) && !before.trim_end().ends_with(|c: char| c.is_numeric());
    }
    !FRACTION.is_match(found) || is_day(before, found, after)
}

/// Whether two numbers with a stroke are a day: "22/11" at a sentence's end, but not "9/10 khách hàng".
fn is_day(before: &str, found: &str, after: &str) -> bool {
    let led = LEADS_DAY.is_match(before);
    if RATED.is_match(before) || (found == "24/7" && !led) {
        return false;
    }
    ENDS_DAY.is_match(after)
}

/// Whether a day written in numbers can be in a month.
fn in_calendar(found: &str) -> bool {
    let numbers: Vec<u32> = found
        .split(['/', '.', '-', ' '])
        .filter_map(|number| number.parse().ok())
        .collect();
    let day = |day: u32, month: u32| (1..=31).contains(&day) && (1..=12).contains(&month);
    match numbers[..] {
        [a, b] if found.contains('/') => day(a, b) || day(b, a),
        [a, b, c] => day(a, b) || day(b, a) || day(c, b),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    const MOMENTS: &[&str] = &[
        "ngày 20/11", "20/10/2025", "từ 8h30", "19:00", "at 7pm", "8h", "9am - 5pm", "2-5pm", "4.30 pm", "24.10.2026",
        "Thứ bảy 22/11, 14h - 16h", "5 tháng 9", "rằm tháng Tám", "July 18", "10-16 March", "June 12, 2026", "Sat 5/9",
        "Thứ bảy này", "every Sunday", "24/7 lúc 9h", "2026-10-24", "Khai trương: 8h ngày 2/9", "Tại sân vườn, 20h 22/11",
    ];
    #[rustfmt::skip]
    const NONE: &[&str] = &[
        "50%", "tuần này", "a:b", "h", "9/10 khách hàng hài lòng", "3/4 học viên có việc làm", "Đánh giá 9/10", "16:9",
        "Round 1/3 tonight", "24/7, kể cả ngày lễ", "giao trong 2h", "3 ngày 2 đêm", "4.9/5 from 2,000 customers",
        "trong 4 tháng", "30 days", "32/13", "120 km", "Quán đóng cửa ngày 1/5",
    ];

    #[test]
    fn days_and_hours_are_moments_and_fractions_ratings_and_durations_are_none() {
        for text in MOMENTS {
            assert!(tells_when(text), "{text}");
        }
        for text in NONE {
            assert!(!tells_when(text), "{text}");
        }
    }

    #[test]
    fn a_sentence_ends_with_its_time() {
        for (text, time) in [
            ("Khai giảng lớp vẽ màu nước ngày 5/9", "ngày 5/9"),
            (
                "Charity bake sale this Saturday at 10am",
                "this Saturday at 10am",
            ),
            (
                "Workshop gốm 99.000đ lúc 19:30 tại TP. Huế",
                "lúc 19:30 tại TP. Huế",
            ),
        ] {
            assert_eq!(tail(text).map(|at| &text[at..]), Some(time));
        }
        for text in [
            "Hoa tươi 20/10",
            "Happy hour 17h-19h",
            "Taco Tuesday",
            "nghỉ lễ 30/4 và 1/5",
        ] {
            assert_eq!(tail(text), None, "{text}");
        }
    }
}
