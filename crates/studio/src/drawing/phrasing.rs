//! Where a reader would breathe: what it costs to end a line between two words.

/// Words that lead on to what follows, Vietnamese and English: a line does not end with them, and may well begin with one.
#[rustfmt::skip]
const LEADING: [&str; 75] = [
    "dành", "cho", "của", "và", "với", "tại", "ở", "từ", "đến", "tới", "trong", "các", "những", "một", "là", "để", "khi",
    "bằng", "về", "theo", "mỗi", "từng", "số", "ông", "bà", "ngày", "lúc", "hoặc", "chỉ", "còn", "như", "vì", "nếu", "không",
    "a", "an", "the", "of", "for", "and", "or", "to", "in", "on", "at", "by", "with", "from", "our", "your", "my", "their",
    "its", "is", "are", "be", "not", "no", "this", "that", "mr", "ms", "mrs", "dr", "&", "you", "we", "into", "than", "as",
    "but", "if", "i", "up", "only",
];

/// Of words after which nobody breathes, and of names torn apart; the pause before a word that leads on, and after a mark.
const LED: f32 = 0.3;
const TORN: f32 = 0.7;
const OPENING: f32 = -0.05;
const MARKED: f32 = -0.2;
/// Within a phrase of so few words, where another is before it or behind: "ghế êm" in "màn hình 4K, ghế êm, rạp mới".
const SPLIT: f32 = 0.3;
const SHORT: usize = 3;

const MARKS: [char; 12] = [',', '.', ';', ':', '!', '?', '…', '–', '—', ')', '·', '-'];

/// What the end of a line costs before each of these words but the first.
pub(super) fn costs(words: &[String]) -> Vec<f32> {
    let mut costs = Vec::new();
    let mut start = 0_usize;
    for phrase in words.split_inclusive(|word| word.ends_with(MARKS)) {
        let count: usize = phrase.iter().map(|word| word.split(' ').count()).sum();
        let is_short = count <= SHORT && phrase.len() < words.len();
        for (place, word) in (start..).zip(phrase) {
            let Some(before) = place.checked_sub(1) else {
                continue;
            };
            let split = if is_short && place > start {
                SPLIT
            } else {
                0.0
            };
            costs.push(cost(&words[before], word, before == 0) + split);
        }
        start += phrase.len();
    }
    costs
}

/// What the end of a line between two words costs: more than 0 where a reader would stumble, less where he would pause. The
/// first word of a text has its capital in any case, and need not be a name.
fn cost(before: &str, after: &str, is_first: bool) -> f32 {
    if before.ends_with(MARKS) {
        return MARKED;
    }
    let last = bare(before.rsplit(' ').next().unwrap_or(before));
    let next = bare(after.split(' ').next().unwrap_or(after));
    let leads = |word: &str| LEADING.contains(&word.to_lowercase().as_str());
    let mut cost = 0.0;
    if leads(last) {
        cost += LED;
    }
    // "Âm 2" is a name, "Hà Giang 3 ngày" is not.
    let goes_on = is_name(next) || is_number(after);
    if is_name(last) && goes_on && !(is_first && is_name(before)) {
        cost += TORN;
    }
    if leads(next) || next.starts_with(['–', '—', '(']) {
        cost += OPENING;
    }
    cost
}

/// A word without the marks around it.
fn bare(word: &str) -> &str {
    match word.trim_matches(|c: char| "\"“”«»'()".contains(c)) {
        "" => word,
        bare => bare,
    }
}

/// "Hàng", "Old": a capital, and small letters after it.
fn is_name(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(char::is_uppercase) && chars.any(char::is_lowercase)
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering::{Equal, Greater, Less};

    use super::*;

    #[test]
    fn names_and_words_that_lead_on_are_not_torn_from_what_follows() {
        for (before, after) in [
            ("dành", "cho"),
            ("Hàng", "Đào"),
            ("Old", "Orchard"),
            ("in", "half"),
            ("Âm", "2"),
        ] {
            assert!(cost(before, after, false) > 0.2, "{before} | {after}");
        }
        for (before, after) in [
            ("bill", "in"),
            ("22/11,", "Nhà"),
            ("bill –", "in"),
            ("quốc tế", "dành"),
            ("bill,", "Anna"),
        ] {
            assert!(cost(before, after, false) < 0.0, "{before} | {after}");
        }
        assert!(cost("Tour", "Hà", true) <= 0.0);
        assert!(cost("Giang", "3 ngày", false) <= 0.0);
    }

    #[test]
    fn short_phrases_between_marks_stay_together() {
        let words = |text: &str| text.split('_').map(str::to_owned).collect::<Vec<_>>();
        let signs = |text: &str| {
            costs(&words(text))
                .iter()
                .map(|it| it.partial_cmp(&0.0))
                .collect::<Vec<_>>()
        };
        let (split, free, marked) = (Some(Greater), Some(Equal), Some(Less));
        assert_eq!(
            signs("Màn_hình_4K,_ghế_êm,_rạp_mới"),
            [split, split, marked, split, marked, split]
        );
        assert_eq!(signs("Ghế_êm"), [free], "there is nothing else");
        assert_eq!(signs("Rạp_mới mở_ngay ngã_tư"), [free; 3], "one phrase");
    }
}
