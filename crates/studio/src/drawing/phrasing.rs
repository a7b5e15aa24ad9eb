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

/// What the end of a line between two words costs: more than 0 where a reader would stumble, less where he would pause. The
/// first word of a text has its capital in any case, and need not be a name.
pub(super) fn cost(before: &str, after: &str, is_first: bool) -> f32 {
    if before.ends_with([',', '.', ';', ':', '!', '?', '…', '–', '—', ')', '·', '-']) {
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
}
