//! Reads a prompt as the words of a poster: what is the headline, what comes under it, what goes in the badge.

mod offer;
mod split;

pub(super) use offer::Offer;
use offer::{find_offer, has_date};
use split::{segments, split_long};

#[cfg(test)]
mod prompts;

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
        let mut parts = segments(&head(prompt, READ));
        if parts.is_empty() {
            return Self::default();
        }
        let kicker = match kicker {
            Some(kicker) => Some(kicker),
            None => opens_with_kicker(&parts).then(|| parts.remove(0)),
        };
        let (headline, rest) = split_long(&parts.remove(0));
        parts.splice(0..0, rest);
        let headline_offer = find_offer(&headline);
        let offer = match &headline_offer {
            Some(_) => None,
            None => parts.iter().find_map(|part| find_offer(part)),
        };
        // A date with an offer reads as a sentence: it stays in the subline.
        let details = parts
            .iter()
            .position(|part| {
                has_date(part) && part.chars().count() <= 64 && find_offer(part).is_none()
            })
            .map(|index| capitalised(&parts.remove(index)));
        Self {
            kicker,
            headline: capitalised(&shortened(&headline, HEADLINE)),
            subline: subline(&parts),
            details,
            offer,
            emphasis: headline_offer.map(|offer| offer.value),
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
            headline: capitalised(&shortened(words, QUOTE)),
            author: author.map(|author| capitalised(author.trim_matches(QUOTATION_MARKS))),
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

/// Openings that say what kind of message follows.
const KICKERS: [&str; 22] = [
    "thông báo",
    "tuyển dụng",
    "thư mời",
    "trân trọng kính mời",
    "lời mời",
    "sự kiện",
    "tin vui",
    "tin mới",
    "chú ý",
    "lưu ý",
    "ra mắt",
    "workshop",
    "webinar",
    "hội thảo",
    "grand opening",
    "announcement",
    "notice",
    "hiring",
    "we are hiring",
    "event",
    "invitation",
    "save the date",
];

/// "Thông báo: nghỉ lễ 30/4": such an opening belongs above the headline.
fn opens_with_kicker(parts: &[String]) -> bool {
    let opening = parts
        .first()
        .map(|part| part.trim_end_matches('!').to_lowercase());
    parts.len() > 1 && opening.is_some_and(|opening| KICKERS.contains(&opening.as_str()))
}

fn subline(parts: &[String]) -> Option<String> {
    let mut out = String::new();
    for part in parts {
        if out.is_empty() {
            out = capitalised(part);
        } else if out.ends_with(['!', '?', '…', '.']) {
            out = format!("{out} {}", capitalised(part));
        } else if part.chars().count() <= 40 && out.chars().count() <= 80 {
            out = format!("{out} · {part}");
        } else {
            out = format!("{out}. {}", capitalised(part));
        }
    }
    (!out.is_empty()).then(|| shortened(&out, SUBLINE))
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

/// The text with its first letter in upper case, unless it begins with an address.
pub(super) fn capitalised(text: &str) -> String {
    let first = text.split_whitespace().next().unwrap_or_default();
    if first.contains("://") || first.contains('@') || first.starts_with("www.") {
        return text.to_owned();
    }
    let mut chars = text.trim().chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_with_a_colon_gives_headline_subline_and_offer() {
        let wording = Wording::of("Khai trương quán cà phê: giảm 50% cả tuần", None);
        assert_eq!(wording.headline, "Khai trương quán cà phê");
        assert_eq!(wording.subline.as_deref(), Some("Giảm 50% cả tuần"));
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
        let all = format!(
            "{} {}",
            wording.headline,
            wording.subline.unwrap_or_default()
        );
        assert!(all.contains("19:30") && all.contains("TP. Huế"), "{all}");
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
        assert_eq!(wording.headline, "Cửa hàng nghỉ lễ đến hết tuần");
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
            Some("Nhanh và an toàn · Diễn giả: Nguyễn An")
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
