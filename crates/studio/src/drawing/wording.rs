//! Reads a prompt as the words of a poster: what is the headline, what comes under it, what goes in the badge.

mod moment;
mod offer;
#[cfg(test)]
mod prompts;
mod split;
#[rustfmt::skip]
mod vocabulary;

use std::sync::LazyLock;

use regex::Regex;

pub(super) use offer::Offer;
use split::{APART, Part, clauses, joined, segments, split_long};
use vocabulary::{any, compiled};

/// The words of a picture, by their role.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Wording {
    /// A short line above the headline.
    pub(super) kicker: Option<String>,
    /// Empty when the prompt has nothing that can be shown.
    pub(super) headline: String,
    pub(super) subline: Option<String>,
    /// When and where.
    pub(super) details: Option<String>,
    /// The price or discount, for a badge.
    pub(super) offer: Option<Offer>,
    /// The part of the headline to emphasise.
    pub(super) emphasis: Option<String>,
    /// Who said it; only quotes have one.
    pub(super) author: Option<String>,
}

/// Characters of a prompt that are looked at; nobody reads more on one picture.
const READ: usize = 1200;
/// A headline is cut after this many characters, and a subline after that many.
const HEADLINE: usize = 96;
const SUBLINE: usize = 240;
const QUOTE: usize = 420;

impl Wording {
    /// Reads a prompt as an announcement; its first words are the kicker only where none is given.
    pub(super) fn of(prompt: &str, kicker: Option<String>) -> Self {
        let prompt = head(prompt, READ);
        let mut parts = segments(&prompt);
        let kicker = kicker.or_else(|| take_kicker(&mut parts));
        if parts.is_empty() {
            return Self::default();
        }
        let (headline, rest) = headline(&parts.remove(0).text, &prompt);
        let mut parts: Vec<Part> = rest.into_iter().chain(parts).collect();
        parts = parts
            .into_iter()
            .flat_map(|part| divided(part, &prompt))
            .collect();
        let set_off = offer::find(&headline, &prompt);
        let offer = match &set_off {
            Some(_) => None,
            None => parts.iter().find_map(|part| {
                let found = offer::find(&part.text, &prompt)?;
                Some(found.offer(&part.text))
            }),
        };
        let details = take_moments(&mut parts, &prompt);
        Self {
            kicker,
            emphasis: set_off.map(|found| found.set_off(&headline).to_owned()),
            headline: shortened(&headline, HEADLINE),
            subline: subline(&parts),
            details,
            offer,
            author: None,
        }
    }

    /// Reads a prompt as a quotation, with its author after a dash or on a line of its own.
    pub(super) fn of_quote(prompt: &str) -> Self {
        let text = head(prompt, READ);
        let (words, author) = match split_author(&text) {
            Some((words, author)) => (words, Some(author)),
            None => (text.as_str(), None),
        };
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = words.trim_matches(QUOTATION_MARKS).trim();
        Self {
            headline: shortened(words, QUOTE),
            author: author.map(|author| author.trim_matches(QUOTATION_MARKS).to_owned()),
            ..Self::default()
        }
    }
}

const QUOTATION_MARKS: [char; 9] = ['"', '“', '”', '„', '«', '»', '‘', '’', '\''];

/// Whether words of a prompt are left out for being too many.
pub(super) fn shortens(prompt: &str) -> bool {
    let wording = match is_quote(prompt) {
        true => Wording::of_quote(prompt),
        false => Wording::of(prompt, None),
    };
    let said = [Some(wording.headline), wording.subline];
    let mut said = said.into_iter().flatten();
    let cut = said.any(|text| text.ends_with('…')) && !prompt.contains('…');
    cut || prompt.chars().count() > READ
}

/// Whether a prompt is a quotation: it opens with a quotation mark and ends with its author, or closes the mark.
pub(super) fn is_quote(prompt: &str) -> bool {
    let text = prompt.trim();
    let opens = text.starts_with(['"', '“', '«', '„']);
    opens && (split_author(text).is_some() || text.ends_with(['"', '”', '»', '“']))
}

fn split_author(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let (at, mark) = ["—", "–", " - ", " ~ ", "\n"]
        .iter()
        .filter_map(|mark| Some((text.rfind(mark)?, *mark)))
        .max_by_key(|(at, _)| *at)?;
    let (words, author) = (text[..at].trim(), text[at + mark.len()..].trim());
    let author = author.trim_start_matches(['-', '—', '–', '~', ' ']);
    let named =
        (1..=8).contains(&author.split_whitespace().count()) && !author.ends_with(['.', '!', '?']);
    (named && words.split_whitespace().count() >= 3).then_some((words, author))
}

static KICKER: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!("^{}!?$", any(vocabulary::KICKERS))));
static GIFT: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"^{}\b", any(vocabulary::GIFTS))));

/// "Thông báo: nghỉ lễ 30/4": such an opening belongs above the headline.
fn take_kicker(parts: &mut Vec<Part>) -> Option<String> {
    let opens = parts.len() > 1 && KICKER.is_match(&parts[0].text);
    opens.then(|| parts.remove(0).text)
}

/// The headline of a prompt's first part, and what of the part goes below it.
fn headline(text: &str, prompt: &str) -> (String, Option<Part>) {
    let clause = clauses(text)
        .skip(1)
        .find(|at| Role::of(&text[*at..], prompt) != Role::Any);
    let at = clause.into_iter().chain(moment::tail(text)).min();
    let (headline, rest) = match at {
        Some(at) => text.split_at(at),
        None => split_long(text),
    };
    let headline = headline.trim_end_matches([',', ' ']).to_owned();
    (headline, Part::new(rest, APART))
}

/// What a clause of a sentence is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Any,
    Moment,
    Offer,
}

impl Role {
    /// The role of what a text begins with.
    fn of(text: &str, prompt: &str) -> Self {
        let clause = text.split(", ").next().unwrap_or_default();
        match offer::find(clause, prompt) {
            Some(offer) if offer.whole.start == 0 => Self::Offer,
            Some(_) => Self::Any,
            None if GIFT.is_match(clause) || offer::claims(clause) => Self::Offer,
            None if moment::tells_when(clause) => Self::Moment,
            None => Self::Any,
        }
    }
}

/// A part that says both when something is and what it costs, as one for each, and what is said besides behind the time, unless
/// it may be where; a date with an offer in one clause reads as a sentence.
fn divided(part: Part, prompt: &str) -> Vec<Part> {
    let text = part.text.as_str();
    let (mut parts, mut joint) = (Vec::new(), part.joint.as_str());
    let (mut role, mut from) = (Role::Any, 0);
    for start in clauses(text) {
        let next = Role::of(&text[start..], prompt);
        let is_note = role == Role::Moment && moment::is_no_place(&text[start..]);
        if next == Role::Any && !is_note {
            continue;
        }
        if role != Role::Any && next != role {
            parts.extend(Part::new(&text[from..start], joint));
            (from, joint) = (start, ", ");
        }
        role = next;
    }
    parts.extend(Part::new(&text[from..], joint));
    parts
}

/// Takes out what says when it is: the first part that does, and those that go on with it.
fn take_moments(parts: &mut Vec<Part>, prompt: &str) -> Option<String> {
    let tells =
        |part: &Part| moment::tells_when(&part.text) && offer::find(&part.text, prompt).is_none();
    let first = parts.iter().position(tells)?;
    let goes_on = |part: &&Part| tells(part) && moment::begins_with_time(&part.text);
    let more = parts[first + 1..].iter().take_while(goes_on).count();
    joined(&parts.drain(first..=first + more).collect::<Vec<_>>())
}

fn subline(parts: &[Part]) -> Option<String> {
    joined(parts).map(|text| shortened(&text, SUBLINE))
}

fn head(text: &str, count: usize) -> String {
    text.chars().take(count).collect()
}

/// The text, cut at a word boundary with an ellipsis if it has more than `limit` characters.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let cut = head(text, limit);
    let kept = match cut.rfind(' ') {
        Some(at) if at > cut.len() / 2 => &cut[..at],
        _ => &cut,
    };
    format!(
        "{}…",
        kept.trim_end_matches([' ', ',', '.', ';', ':', '-', '·', '('])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_with_a_colon_gives_headline_subline_and_offer() {
        let wording = Wording::of("Khai trương quán cà phê: giảm 50% cả tuần", None);
        assert_eq!(wording.headline, "Khai trương quán cà phê");
        assert_eq!(wording.subline.as_deref(), Some("giảm 50% cả tuần"));
        let offer = wording.offer.expect("an offer");
        assert_eq!(
            (offer.before.as_str(), offer.value.as_str()),
            ("giảm", "50%")
        );
    }

    #[test]
    fn times_prices_and_addresses_are_not_split() {
        let wording = Wording::of("Workshop gốm 99.000đ lúc 19:30 tại TP. Huế", None);
        assert!(
            wording.headline.starts_with("Workshop gốm 99.000đ"),
            "{wording:?}"
        );
        assert_eq!(wording.emphasis.as_deref(), Some("99.000đ"));
        assert_eq!(wording.details.as_deref(), Some("lúc 19:30 tại TP. Huế"));
    }

    #[test]
    fn a_date_among_several_parts_becomes_the_details() {
        let wording = Wording::of(
            "Đêm nhạc acoustic\nVé từ 150k\n20h00, thứ bảy 22/11 tại sân vườn",
            None,
        );
        assert_eq!(
            wording.details.as_deref(),
            Some("20h00, thứ bảy 22/11 tại sân vườn")
        );
        assert_eq!(
            wording.offer.map(|offer| offer.value).as_deref(),
            Some("150k")
        );
    }

    #[test]
    fn a_short_opening_word_is_a_kicker() {
        let wording = Wording::of("Thông báo: cửa hàng nghỉ lễ đến hết tuần", None);
        assert_eq!(wording.kicker.as_deref(), Some("Thông báo"));
        assert_eq!(wording.headline, "cửa hàng nghỉ lễ đến hết tuần");
    }

    #[test]
    fn no_words_are_lost_to_a_given_kicker() {
        let given = Some("Lễ cưới".to_owned());
        let wording = Wording::of("Thư mời: Minh & Thảo", given.clone());
        assert_eq!(
            (wording.kicker, wording.headline.as_str()),
            (given, "Thư mời")
        );
        assert_eq!(wording.subline.as_deref(), Some("Minh & Thảo"));
    }

    #[test]
    fn a_label_on_a_later_line_keeps_its_colon() {
        let wording = Wording::of("Rust 2026: nhanh và an toàn\nDiễn giả: Nguyễn An", None);
        assert_eq!(wording.headline, "Rust 2026");
        assert_eq!(
            wording.subline.as_deref(),
            Some("nhanh và an toàn · Diễn giả: Nguyễn An")
        );
    }

    #[test]
    fn a_quote_is_told_from_its_author() {
        let wording = Wording::of_quote("“Stay hungry, stay foolish.” — Steve Jobs");
        assert_eq!(wording.headline, "Stay hungry, stay foolish.");
        assert_eq!(wording.author.as_deref(), Some("Steve Jobs"));
        assert!(is_quote("\"Có công mài sắt, có ngày nên kim\" - Tục ngữ"));
        assert!(!is_quote("Khai trương - giảm giá"));
    }

    #[test]
    fn a_long_prompt_is_cut_at_a_word_with_an_ellipsis() {
        let wording = Wording::of(&"từng chữ một ".repeat(300), None);
        assert!(wording.headline.chars().count() <= HEADLINE + 1);
        let subline = wording.subline.expect("a subline");
        assert!(
            subline.ends_with('…') && subline.chars().count() <= SUBLINE + 1,
            "{subline}"
        );
    }

    #[test]
    fn an_empty_prompt_has_no_words() {
        assert_eq!(Wording::of(" \n -- | : ", None), Wording::default());
    }
}
