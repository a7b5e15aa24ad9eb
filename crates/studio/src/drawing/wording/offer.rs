//! Finds what is surely a price or a discount in a text.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::vocabulary::{self, Measure, any, compiled};

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
        let text = text.trim();
        let value = of(&PERCENTAGE, text).chain(of(&PRICE, text)).next();
        let value = value.map_or(0..text.len(), |candidate| candidate.at);
        // All the words of a badge were meant to be in it.
        Self {
            before: text[..value.start].trim().to_owned(),
            after: text[value.end..].trim().to_owned(),
            value: text[value].to_owned(),
        }
    }
}

/// Where in a text an offer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// With the words that belong to it.
    pub(super) whole: Range<usize>,
    pub(super) value: Range<usize>,
}

impl Found {
    pub(super) fn offer(&self, text: &str) -> Offer {
        Offer {
            before: text[self.whole.start..self.value.start].trim().to_owned(),
            value: text[self.value.clone()].to_owned(),
            after: text[self.value.end..self.whole.end].trim().to_owned(),
        }
    }

    /// The value with the unit that is written in one with it: "150k/tháng".
    pub(super) fn set_off<'a>(&self, text: &'a str) -> &'a str {
        let unit = text[self.value.end..self.whole.end].starts_with('/');
        &text[self.value.start..if unit { self.whole.end } else { self.value.end }]
    }
}

/// The first discount in a part of a prompt, or else the first price.
pub(super) fn find(part: &str, prompt: &str) -> Option<Found> {
    let candidate = of(&PERCENTAGE, part)
        .find(Candidate::is_discount)
        .or_else(|| of(&PRICE, part).find(|candidate| candidate.is_price(prompt)))?;
    let after = UNIT.find(candidate.after).map_or(0, |unit| unit.end());
    Some(Found {
        whole: candidate.at.start - candidate.lead.len()..candidate.at.end + after,
        value: candidate.at,
    })
}

/// Whether a clause begins by saying how much less there will be of something that is not sold: "giảm 70% tiền điện".
pub(super) fn claims(clause: &str) -> bool {
    let leads = |one: Candidate| one.lead.len() == one.at.start && DISCOUNT.is_match(one.lead);
    of(&PERCENTAGE, clause).any(leads)
}

fn of<'a>(pattern: &'static Regex, part: &'a str) -> impl Iterator<Item = Candidate<'a>> {
    let found = pattern.find_iter(part);
    let candidates = found.map(|at| Candidate::new(part, at.range()));
    candidates.filter(Candidate::stands_alone)
}

/// A number with thousands grouped by a space, a point, a comma or an apostrophe, and up to two decimals.
const AMOUNT: &str = r"(?:\d{1,3}(?: \d{3})+|\d{1,3}(?:\.\d{3})+|\d{1,3}(?:,\d{3})+|\d{1,3}(?:['’]\d{3})+|\d+)(?:[.,]\d{1,2})?";
const TO: &str = r"(?:\s?[-–—]\s?|\s(?:đến|tới|to)\s)";

static PERCENTAGE: LazyLock<Regex> = LazyLock::new(|| {
    compiled(&format!(
        r"[-–−]?\d{{1,3}}(?:[.,]\d{{1,2}})?(?:\s?%?{TO}\d{{1,3}})?\s?%"
    ))
});

/// Money's words behind a number.
static MONEY_BEHIND: LazyLock<String> = LazyLock::new(|| {
    let words = [vocabulary::MONEY_CODES, vocabulary::MONEY_WORDS].concat();
    any(&words)
});

static PRICE: LazyLock<Regex> = LazyLock::new(|| {
    let signs = any(vocabulary::MONEY_SIGNS);
    let codes = any(vocabulary::MONEY_CODES);
    let magnitude = any(vocabulary::MAGNITUDES);
    let of_money = any(vocabulary::MAGNITUDES_OF_MONEY);
    let money = format!(r"(?:{signs}|{}\b)", *MONEY_BEHIND);
    let behind = format!(r"{AMOUNT}\s?(?:{magnitude}\b(?:\s?{money})?|{money})");
    let dollars = format!(r"\b{}\$", any(vocabulary::DOLLARS));
    let ahead = format!(r"(?:{dollars}|{signs}|\b{codes})\s?{AMOUNT}(?:\s?{of_money}\b)?");
    // "99.000d" is typed where there is no đ; "2tr5" are two and a half million.
    let typed = r"\d{1,3}(?:[.,]\d{3})+d\b|\d{1,3}tr\d{1,3}\b";
    // "$18-22" names its money once.
    compiled(&format!(
        r"{ahead}[-–—]{AMOUNT}(?:{of_money}\b)?|(?:{ahead}{TO})?{ahead}|(?:(?:{behind}|{AMOUNT}){TO})?(?:{typed}|{behind})"
    ))
});

static MONEY: LazyLock<Regex> = LazyLock::new(|| {
    let signs = any(vocabulary::MONEY_SIGNS);
    compiled(&format!(
        r"{signs}|(?:\b|\d){}\b|\d(?:d|tr\d+)\b",
        *MONEY_BEHIND
    ))
});

static SMALL: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"{}$", any(vocabulary::SMALL_MONEY))));
static THOUSANDS: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"\d\s?{}\b", any(vocabulary::MAGNITUDES))));

static LEAD: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"(?:\b{}\s)+$", any(vocabulary::LEADS))));
static DISCOUNT: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"\b{}\b", any(vocabulary::DISCOUNTS))));
static DISCOUNTED: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"^\s?{}\b", any(vocabulary::DISCOUNTED))));
static NOT_SOLD: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"^\s{}\b", any(vocabulary::NOT_SOLD))));
static NOT_A_PRICE: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"\b{}(?:\stừ)?$", any(vocabulary::NOT_A_PRICE))));
static GOAL: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"^\s{}\b", any(vocabulary::GOALS))));
static COUNTED: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"^\s{}\b", any(vocabulary::COUNTED))));
static CLOSES: LazyLock<Regex> = LazyLock::new(|| {
    compiled(&format!(
        r"^\s*(?:$|[,.;:!?)(·+&/|…•–-]|{}\b)",
        any(vocabulary::CLOSES)
    ))
});
/// What a price is for: "/tháng", "a month", "per person", "off".
static UNIT: LazyLock<Regex> = LazyLock::new(|| {
    compiled(&format!(
        r"^(?:\s?/\s?[^\s,.;:!?)]+|\s(?:a|an|per)\s\w+|\s{}\b)",
        any(vocabulary::UNITS)
    ))
});
static MEASURES: LazyLock<Vec<(Regex, &Measure)>> = LazyLock::new(|| {
    let named = |measure: &Measure| compiled(&format!(r"\b{}\b", any(measure.named)));
    let measures = vocabulary::MEASURES.iter();
    measures.map(|measure| (named(measure), measure)).collect()
});
/// Letters that only Vietnamese has, or nearly so.
static VIETNAMESE: LazyLock<Regex> =
    LazyLock::new(|| compiled("[đăơưãĩũạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]"));

/// A number that may be an offer, and what stands around it.
struct Candidate<'a> {
    part: &'a str,
    at: Range<usize>,
    before: &'a str,
    after: &'a str,
    /// The end of `before` that belongs to it.
    lead: &'a str,
}

impl<'a> Candidate<'a> {
    fn new(part: &'a str, at: Range<usize>) -> Self {
        let before = &part[..at.start];
        Self {
            before,
            after: &part[at.end..],
            lead: LEAD.find(before).map_or("", |lead| lead.as_str()),
            part,
            at,
        }
    }

    fn text(&self) -> &'a str {
        &self.part[self.at.clone()]
    }

    /// Whether it is no piece of a longer number or word.
    fn stands_alone(&self) -> bool {
        let attached = |c: char| c.is_alphanumeric() || ".,'’/x×".contains(c);
        let cut = self.text().starts_with(|c: char| c.is_ascii_digit())
            && self.before.ends_with(attached);
        !cut && !self.after.starts_with(|c: char| c.is_ascii_digit())
    }

    fn is_discount(&self) -> bool {
        let marked = self.text().starts_with(['-', '–', '−']);
        let led = DISCOUNT.is_match(self.lead);
        // "Giảm giá cả cửa hàng 20%".
        let told = DISCOUNT.is_match(self.before) && CLOSES.is_match(self.after);
        !NOT_SOLD.is_match(self.after) && (marked || led || told || DISCOUNTED.is_match(self.after))
    }

    fn is_price(&self, prompt: &str) -> bool {
        // "Grand prize: $10,000" has its word in the part before.
        let told = match prompt.find(self.part) {
            Some(at) => prompt[..at + self.at.start].trim_end_matches([':', ' ', '-', '–']),
            None => self.before.trim_end(),
        };
        if NOT_A_PRICE.is_match(told) || GOAL.is_match(self.after) {
            return false;
        }
        if MONEY.is_match(self.text()) {
            return !self.is_small_change();
        }
        if COUNTED.is_match(self.after) {
            return false;
        }
        if !self.lead.is_empty() {
            return true;
        }
        // Elsewhere "10k" may count anything, but not "60k/kg".
        let priced = VIETNAMESE.is_match(prompt) || self.after.starts_with('/');
        priced && CLOSES.is_match(self.after) && !self.measures(prompt)
    }

    /// "10đ" are ten points.
    fn is_small_change(&self) -> bool {
        SMALL.is_match(self.text()) && !THOUSANDS.is_match(self.text()) && self.digits() < 500.0
    }

    fn digits(&self) -> f64 {
        let digits = self.text().chars().filter(char::is_ascii_digit);
        digits.collect::<String>().parse().unwrap_or(f64::MAX)
    }

    /// Whether its thousands are pixels, metres or parts of gold.
    fn measures(&self, prompt: &str) -> bool {
        let text = self.text().to_lowercase();
        let Some(number) = text.strip_suffix('k') else {
            return false;
        };
        let number: f64 = number.trim().replace(',', ".").parse().unwrap_or(f64::MAX);
        MEASURES.iter().any(|(named, measure)| {
            let near = if measure.anywhere { prompt } else { self.part };
            number <= measure.most && named.is_match(near)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(text: &str) -> Option<Offer> {
        find(text, text).map(|found| found.offer(text))
    }

    #[test]
    fn offers_are_found_with_their_words() {
        let table = [
            ("giảm 50% cả tuần", "giảm", "50%", ""),
            ("Sale up to 70% off!", "Sale up to", "70%", "off"),
            ("Chỉ từ 99.000đ mỗi ly", "Chỉ từ", "99.000đ", ""),
            ("combo only $5.", "only", "$5", ""),
            ("Tacos$5", "", "$5", ""),
            ("vé 150k/tháng", "vé", "150k", "/tháng"),
            ("đồng giá 29 nghìn", "đồng giá", "29 nghìn", ""),
            ("trà sữa 25k, giảm 20%", "giảm", "20%", ""),
        ];
        for (text, before, value, after) in table {
            let offer = offer(text).unwrap_or_default();
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

    #[rustfmt::skip]
    const PRICES: &[&str] = &[
        "1 299 000 đ", "1.299.000đ", "1,299,000 VND", "VND 1 299 000", "₫1.299.000", "1'299.50 CHF", "$1,299.99",
        "1.299,00 €", "€ 1 299", "US$120k", "50k-70k", "50k – 70k", "50-70k", "10 to 20 euros", "$10–$15", "$18-22",
        "7-9 triệu", "1,8 - 2,3 tỷ", "2tr5", "99.000d", "120 nghìn đồng", "45 nghìn đến 60 nghìn", "5.5tr", "A$79", "NZ$5",
    ];

    #[test]
    fn a_price_is_read_however_its_thousands_and_its_money_are_written() {
        for price in PRICES {
            let text = format!("Giá {price}");
            assert_eq!(offer(&text).unwrap_or_default().value, *price);
        }
    }

    #[rustfmt::skip]
    const NONE: &[&str] = &[
        "", "Phở 24", "top 10 quán ngon", "năm 2025", "20/11", "8h30", "Màn hình 4K, ghế êm", "Quay video 8K", "1080p",
        "5G", "100% cotton", "tăng 30% doanh thu", "3 ngày 2 đêm", "4N3Đ", "Cự ly 21K", "42km", "60x40 cm", "1m2",
        "Vàng 18K", "0912 345 678", "12 Lê Lợi, Q. 1", "Hơn 2 triệu người dùng", "10k followers", "đạt 10đ môn Toán",
        "Best costume wins $100", "Quà trị giá 500k", "Freeship đơn từ 300k", "Giảm 40% thời gian",
    ];

    #[test]
    fn what_only_looks_like_a_price_is_none() {
        for text in NONE {
            assert_eq!(offer(text), None, "{text}");
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
