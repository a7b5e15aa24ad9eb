//! Finds prices, discounts and dates in a text.

/// A price or a discount with the words that belong to it: "giảm đến" "50%", "" "$5" "off".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Offer {
    pub(in super::super) before: String,
    pub(in super::super) value: String,
    pub(in super::super) after: String,
}

impl Offer {
    /// An offer from a badge's text: a price or discount in it is its value, else the whole is.
    pub(in super::super) fn from_badge(text: &str) -> Self {
        let Some(offer) = find_offer(text) else {
            return Self {
                value: text.trim().to_owned(),
                ..Self::default()
            };
        };
        // All the words of a badge were meant to be in it.
        match text.split_once(offer.value.as_str()) {
            Some((before, after)) => Self {
                before: before.trim().to_owned(),
                value: offer.value,
                after: after.trim().to_owned(),
            },
            None => offer,
        }
    }
}

/// Words that belong to the value that follows them.
const BEFORE: [&str; 22] = [
    "giảm", "giá", "đến", "tới", "lên", "ưu", "đãi", "chỉ", "từ", "còn", "đồng", "tặng", "sale",
    "up", "to", "save", "get", "only", "from", "just", "hoàn", "về",
];
const AFTER: [&str; 2] = ["off", "discount"];

/// The first price or discount in a text; a percentage wins over a price.
pub(super) fn find_offer(text: &str) -> Option<Offer> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let value = |want: fn(&str) -> bool| {
        (0..words.len()).find_map(|at| value_at(&words, at, want).map(|length| (at, length)))
    };
    let (at, length) = value(is_percentage).or_else(|| value(is_price))?;
    let first = words[..at]
        .iter()
        .rposition(|word| !BEFORE.contains(&bare(word).to_lowercase().as_str()))
        .map_or(0, |index| index + 1)
        .max(at.saturating_sub(3));
    let after = words
        .get(at + length)
        .map(|word| bare(word))
        .filter(|word| AFTER.contains(&word.to_lowercase().as_str()))
        .unwrap_or_default();
    let value = bare(&words[at..at + length].join(" ")).to_owned();
    // "150k/tháng" is a price and what it is for.
    let (value, after) = match value.split_once('/') {
        Some((price, unit)) => (price.to_owned(), format!("/{unit}")),
        None => (value, after.to_owned()),
    };
    Some(Offer {
        before: words[first..at].join(" "),
        value,
        after,
    })
}

/// How many words from `at` make a value: "50%" is one, "50 %" and "99 nghìn" are two.
fn value_at(words: &[&str], at: usize, want: fn(&str) -> bool) -> Option<usize> {
    let one = bare(words[at]);
    if want(one) {
        return Some(1);
    }
    let two = format!("{one} {}", bare(words.get(at + 1)?));
    want(&two).then_some(2)
}

fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| ",.!?:;()[]\"“”".contains(c))
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit())
        && text.len() <= 14
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || ".,-–".contains(c))
}

fn is_percentage(text: &str) -> bool {
    text.strip_suffix('%')
        .map(|number| number.trim_end().trim_start_matches('-'))
        .is_some_and(|number| is_number(number) && number.len() <= 7)
}

const CURRENCIES: [&str; 16] = [
    "k", "đ", "₫", "d", "vnd", "vnđ", "usd", "eur", "€", "$", "tr", "triệu", "nghìn", "ngàn",
    "đồng", "cành",
];

fn is_price(text: &str) -> bool {
    if let Some(number) = text.strip_prefix(['$', '€', '£']) {
        return is_number(number.trim_start());
    }
    // "150k/tháng": the price is what stands before the unit.
    let lower = text.split('/').next().unwrap_or_default().to_lowercase();
    let digits = lower.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = lower[digits.len()..].trim();
    is_number(digits) && CURRENCIES.contains(&unit)
}

/// Whether the text names a day or an hour: 22/11, 20/10/2025, 19:30, 8h, 20h30, 7pm.
pub(super) fn has_date(text: &str) -> bool {
    text.split(|c: char| c.is_whitespace() || c == ',')
        .map(bare)
        .any(|word| is_day(word) || is_hour(word))
}

fn is_day(word: &str) -> bool {
    let numbers: Vec<Option<u32>> = word.split(['/', '-']).map(|n| n.parse().ok()).collect();
    match numbers[..] {
        [Some(day), Some(month)] => {
            word.contains('/') && (1..=31).contains(&day) && (1..=12).contains(&month)
        }
        [Some(a), Some(b), Some(c)] => (1..=31).contains(&a.min(c)) && (1..=12).contains(&b),
        _ => false,
    }
}

fn is_hour(word: &str) -> bool {
    let lower = word.to_lowercase();
    let in_day =
        |text: &str, limit: u32| text.len() <= 2 && text.parse::<u32>().is_ok_and(|n| n < limit);
    if let Some(hour) = lower
        .strip_suffix("am")
        .or_else(|| lower.strip_suffix("pm"))
    {
        return hour.split(':').all(|part| in_day(part, 60));
    }
    lower
        .split_once([':', 'h', 'g'])
        .is_some_and(|(hour, minute)| {
            in_day(hour, 25) && ((minute.is_empty() && !lower.ends_with(':')) || in_day(minute, 60))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_found_with_their_words() {
        let table = [
            ("giảm 50% cả tuần", "giảm", "50%", ""),
            ("Sale up to 70% off!", "Sale up to", "70%", "off"),
            ("Chỉ từ 99.000đ mỗi ly", "Chỉ từ", "99.000đ", ""),
            ("combo only $5.", "only", "$5", ""),
            ("vé 150k/tháng", "", "150k", "/tháng"),
            ("đồng giá 29 nghìn", "đồng giá", "29 nghìn", ""),
            ("trà sữa 25k, giảm 20%", "giảm", "20%", ""),
        ];
        for (text, before, value, after) in table {
            let offer = find_offer(text).unwrap_or_default();
            assert_eq!(
                (
                    offer.before.as_str(),
                    offer.value.as_str(),
                    offer.after.as_str()
                ),
                (before, value, after),
                "{text}"
            );
        }
    }

    #[test]
    fn plain_numbers_are_no_offers() {
        for text in [
            "Phở 24",
            "top 10 quán ngon",
            "năm 2025",
            "20/11",
            "8h30",
            "",
        ] {
            assert_eq!(find_offer(text), None, "{text}");
        }
    }

    #[test]
    fn days_and_hours_are_dates() {
        for text in [
            "ngày 20/11",
            "20/10/2025",
            "từ 8h30",
            "19:00",
            "at 7pm",
            "8h",
        ] {
            assert!(has_date(text), "{text}");
        }
        for text in ["50%", "tuần này", "a:b", "h"] {
            assert!(!has_date(text), "{text}");
        }
    }

    #[test]
    fn a_badge_text_keeps_all_its_words() {
        let offer = Offer::from_badge("Tặng kèm 10% hóa đơn");
        assert_eq!(
            (
                offer.before.as_str(),
                offer.value.as_str(),
                offer.after.as_str()
            ),
            ("Tặng kèm", "10%", "hóa đơn")
        );
        assert_eq!(Offer::from_badge("Mới").value, "Mới");
    }
}
