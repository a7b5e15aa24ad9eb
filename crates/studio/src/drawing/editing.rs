//! What of the words stands where: the offer is said once, a couple's names are the large words, and date and place have a
//! line each.

use super::wording::{Offer, Wording};

/// The most characters of a clause that a seal says in full.
const SEALED: usize = 20;
/// The most characters of a line above the headline.
const KICKER: usize = 44;

/// Marks between the parts of a subline.
const BETWEEN: [&str; 9] = [" · ", " - ", ". ", "! ", "? ", ", ", " – ", " — ", "; "];

/// Words of an invitation by two people.
#[rustfmt::skip]
const INVITING: [&str; 14] = [
    "families", "invite", "invitation", "wedding", "marry", "married", "save the date", "kính mời", "thư mời", "thiệp mời",
    "lễ cưới", "đám cưới", "thành hôn", "gia đình",
];

/// Moves the words to where they are said best. `is_sealed` tells whether there will be a seal.
pub(super) fn edit(wording: Wording, is_sealed: bool) -> Wording {
    let wording = names_first(wording);
    let wording = match is_sealed {
        true => said_once(wording),
        false => wording,
    };
    Wording {
        details: wording.details.map(|details| when_and_where(&details)),
        ..wording
    }
}

/// The offer with the words of its clause, which go from the subline into the seal. Of a longer clause that begins or ends with
/// the offer the other words stay; any other says it alone.
fn said_once(wording: Wording) -> Wording {
    let (Some(offer), Some(subline)) = (&wording.offer, &wording.subline) else {
        return wording;
    };
    let Some((from, to)) = clause_with(subline, &offer.value) else {
        return wording;
    };
    let clause = subline[from..to].trim().trim_end_matches(['.', ',']);
    let core = said(offer);
    let (offer, kept) = if clause.chars().count() <= SEALED {
        (Offer::from_badge(clause), "")
    } else if let Some(kept) = beside(clause, &core) {
        (offer.clone(), kept.trim())
    } else {
        return Wording {
            offer: None,
            ..wording
        };
    };
    let rest = joined(kept, &subline[to..]).unwrap_or_default();
    Wording {
        offer: Some(offer),
        subline: joined(&subline[..from], &rest),
        ..wording
    }
}

/// What a clause says beside words that it begins or ends with, in capitals or not.
fn beside<'a>(clause: &'a str, words: &str) -> Option<&'a str> {
    let is_same = |part: &str| part.to_lowercase() == words.to_lowercase();
    let at_end = clause.len().checked_sub(words.len())?;
    let (begin, rest) = clause.split_at_checked(words.len())?;
    if is_same(begin) {
        return Some(rest);
    }
    let (rest, end) = clause.split_at_checked(at_end)?;
    is_same(end).then_some(rest)
}

/// An offer's words in their order.
fn said(offer: &Offer) -> String {
    let Offer {
        before,
        value,
        after,
    } = offer;
    let said = match after.starts_with('/') {
        true => format!("{before} {value}{after}"),
        false => format!("{before} {value} {after}"),
    };
    said.trim().to_owned()
}

/// Where the clause with these words begins and ends.
fn clause_with(text: &str, words: &str) -> Option<(usize, usize)> {
    let at = text.find(words).filter(|_| !words.is_empty())?;
    let begins = BETWEEN.iter().filter_map(|mark| {
        let before = text[..at].rfind(mark)?;
        Some(before + mark.len())
    });
    let after = at + words.len();
    let ends = BETWEEN.iter().filter_map(|mark| {
        // A sentence keeps the mark that ends it.
        let kept = usize::from(mark.starts_with(['!', '?']));
        Some(after + text[after..].find(mark)? + kept)
    });
    Some((begins.max().unwrap_or(0), ends.min().unwrap_or(text.len())))
}

fn joined(before: &str, after: &str) -> Option<String> {
    let before = before
        .trim()
        .trim_end_matches(['·', ',', '–', '—', ';'])
        .trim_end();
    let after = after
        .trim_start_matches(['·', ',', '.', ' ', '–', '—', ';'])
        .trim_end();
    let between = match before {
        "" => "",
        text if text.ends_with(['.', '!', '?', '…']) => " ",
        _ if after.is_empty() => "",
        _ => " · ",
    };
    Some(format!("{before}{between}{after}")).filter(|text| !text.is_empty())
}

/// A couple's names that stand below the words of an invitation change places with them.
fn names_first(wording: Wording) -> Wording {
    let headline = wording.headline.to_lowercase();
    let invites = INVITING.iter().any(|words| headline.contains(words));
    let Some(subline) = wording.subline.as_deref().filter(|_| invites) else {
        return wording;
    };
    let (names, rest) = match subline
        .split_once(" · ")
        .or_else(|| subline.split_once(". "))
    {
        Some((names, rest)) => (names, Some(rest.to_owned())),
        None => (subline, None),
    };
    let fits_above = wording.kicker.is_none() && wording.headline.chars().count() <= KICKER;
    if !fits_above || !is_couple(names) || is_couple(&wording.headline) {
        return wording;
    }
    Wording {
        headline: names.to_owned(),
        kicker: Some(wording.headline),
        subline: rest,
        ..wording
    }
}

/// "Anna Lee & Tom Gray": two names, and nothing else.
fn is_couple(text: &str) -> bool {
    let names = [" & ", " và ", " and "]
        .iter()
        .find_map(|and| text.split_once(and));
    let is_name = |text: &str| {
        let words = text.split_whitespace();
        (1..=5).contains(&words.clone().count())
            && words
                .clone()
                .all(|word| word.starts_with(char::is_uppercase))
    };
    names.is_some_and(|(one, other)| is_name(one) && is_name(other))
}

/// "20h, thứ bảy 22/11, Nhà hát Lớn" on two lines: when, and where.
fn when_and_where(details: &str) -> String {
    let mut ends = details.match_indices(", ").map(|(at, _)| at);
    let place = ends.find(|at| is_time(&details[..*at]) && !is_time(&details[*at..]));
    match place {
        Some(at) => format!("{}\n{}", &details[..at], &details[at + 2..]),
        None => details.to_owned(),
    }
}

/// Whether there is a day or an hour in a text: a digit followed by what parts hours, minutes, days and months.
fn is_time(text: &str) -> bool {
    text.split(|c: char| c.is_whitespace() || c == ',')
        .any(|word| {
            let mut chars = word.chars();
            let begins = chars.next().is_some_and(|c| c.is_ascii_digit());
            let rest = chars
                .as_str()
                .trim_start_matches(|c: char| c.is_ascii_digit());
            begins && (rest.starts_with([':', '/', 'h', 'g']) || ["am", "pm"].contains(&rest))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wording(headline: &str, subline: &str, value: &str) -> Wording {
        Wording {
            headline: headline.to_owned(),
            subline: Some(subline.to_owned()).filter(|text| !text.is_empty()),
            offer: Some(Offer::from_badge(value)).filter(|offer| !offer.value.is_empty()),
            ..Wording::default()
        }
    }

    #[test]
    fn an_offer_is_said_in_the_seal_or_in_the_line_and_not_in_both() {
        let table = [
            ("Giảm 50% cả tuần", "50%", "Giảm|50%|cả tuần", ""),
            (
                "Vé từ 150k · Cổng mở 19h",
                "150k",
                "Vé từ|150k|",
                "Cổng mở 19h",
            ),
            (
                "Ghế êm, từ 2.990.000đ",
                "2.990.000đ",
                "từ|2.990.000đ|",
                "Ghế êm",
            ),
            (
                "cut and shave only $15",
                "only $15",
                "only|$15|",
                "cut and shave",
            ),
            (
                "Đến 50% toàn bộ áo khoác",
                "đến 50%",
                "đến|50%|",
                "toàn bộ áo khoác",
            ),
        ];
        for (subline, value, seal, rest) in table {
            let edited = edit(wording("Khai trương", subline, value), true);
            let offer = edited.offer.unwrap_or_default();
            let told = format!("{}|{}|{}", offer.before, offer.value, offer.after);
            assert_eq!(
                (told.as_str(), edited.subline.as_deref().unwrap_or("")),
                (seal, rest)
            );
        }
        let long = "Giảm 50% cho một trăm khách đầu tiên của mỗi ngày trong tuần";
        let edited = edit(wording("Khai trương", long, "50%"), true);
        assert_eq!(
            (edited.offer, edited.subline.as_deref()),
            (None, Some(long))
        );
        let unsealed = edit(wording("Khai trương", "Giảm 50%", "50%"), false);
        assert_eq!(unsealed.subline.as_deref(), Some("Giảm 50%"));
    }

    #[test]
    fn a_couple_is_the_headline_of_its_invitation() {
        let edited = edit(
            wording(
                "Together with their families",
                "Anna Lee & Tom Gray · Dinner and dance",
                "",
            ),
            true,
        );
        assert_eq!(edited.headline, "Anna Lee & Tom Gray");
        assert_eq!(
            edited.kicker.as_deref(),
            Some("Together with their families")
        );
        assert_eq!(edited.subline.as_deref(), Some("Dinner and dance"));
        let shop = edit(wording("Spring sale", "Dolce & Gabbana", ""), true);
        assert_eq!(shop.headline, "Spring sale");
    }

    #[test]
    fn date_and_place_have_a_line_each() {
        for (details, lines) in [
            (
                "20h00, thứ bảy 22/11, Nhà hát Lớn, Hà Nội",
                "20h00, thứ bảy 22/11\nNhà hát Lớn, Hà Nội",
            ),
            ("4pm, 12/06, The Old Orchard", "4pm, 12/06\nThe Old Orchard"),
            ("19:30, 22/11", "19:30, 22/11"),
            ("đến hết 30/11", "đến hết 30/11"),
        ] {
            assert_eq!(when_and_where(details), lines);
        }
    }
}
