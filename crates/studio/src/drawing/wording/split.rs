//! Where a prompt falls into parts.

/// The prompt's parts, in order, none empty, without the marks that separated them.
pub(super) fn segments(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut parts = Vec::new();
    let mut part = String::new();
    for (index, c) in chars.iter().copied().enumerate() {
        match break_at(&chars, index) {
            Break::None => part.push(c),
            Break::After => {
                part.push(c);
                parts.push(std::mem::take(&mut part));
            }
            Break::Instead => parts.push(std::mem::take(&mut part)),
        }
    }
    parts.push(part);
    parts.iter().filter_map(|part| tidy(part)).collect()
}

enum Break {
    None,
    /// The part ends with this character.
    After,
    /// The character only separates.
    Instead,
}

fn break_at(chars: &[char], index: usize) -> Break {
    let next = chars.get(index + 1).copied();
    let previous = index
        .checked_sub(1)
        .and_then(|before| chars.get(before))
        .copied();
    let spaced = |c: Option<char>| c.is_none_or(char::is_whitespace);
    match chars[index] {
        '\n' | '|' | '•' | '—' | ';' => Break::Instead,
        '-' | '–' if spaced(next) && spaced(previous) && !in_range(chars, index) => {
            Break::Instead
        }
        // Later lines may be labelled: "Speaker: An".
        ':' if spaced(next) && !chars[..index].contains(&'\n') => Break::Instead,
        '.' if spaced(next) && previous != Some('.') && word_length(chars, index) > 2 => {
            Break::Instead
        }
        '!' | '?' | '…' if spaced(next) => Break::After,
        _ => Break::None,
    }
}

/// Whether a spaced dash stands between two numbers: "9am - 5pm", "20/11 - 25/11".
fn in_range(chars: &[char], dash: usize) -> bool {
    let word = |chars: &mut dyn Iterator<Item = &char>| {
        chars
            .skip_while(|c| c.is_whitespace())
            .take_while(|c| !c.is_whitespace())
            .any(char::is_ascii_digit)
    };
    word(&mut chars[..dash].iter().rev()) && word(&mut chars[dash + 1..].iter())
}

/// The length of the word that ends before `end`: short ones ("TP.", "Q.", "1.") are abbreviations.
fn word_length(chars: &[char], end: usize) -> usize {
    chars[..end]
        .iter()
        .rev()
        .take_while(|c| !c.is_whitespace())
        .count()
}

fn tidy(part: &str) -> Option<String> {
    let text = part.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.trim_matches(|c: char| c.is_whitespace() || ",-–·.:".contains(c));
    let text = unquoted(text);
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
const CONNECTORS: [&str; 16] = [
    "tại", "với", "cho", "để", "từ", "khi", "trong", "và", "at", "with", "for", "from", "in", "on",
    "and", "when",
];

/// A sentence too long for a headline, as its headline and the rest.
pub(super) fn split_long(text: &str) -> (String, Option<String>) {
    const COMFORTABLE: usize = 44;
    const MOST: usize = 72;
    let total = text.chars().count();
    if total <= COMFORTABLE {
        return (text.to_owned(), None);
    }
    let fits = |at: usize| (12..=MOST).contains(&text[..at].chars().count());
    let comma = text
        .match_indices(", ")
        .map(|(at, _)| at)
        .find(|at| fits(*at));
    let connector = text
        .match_indices(' ')
        .filter(|(at, _)| fits(*at))
        .filter(|(at, _)| {
            let word = text[at + 1..].split(' ').next().unwrap_or_default();
            CONNECTORS.contains(&word.to_lowercase().as_str())
        })
        // Late enough to say something, early enough to be large.
        .min_by_key(|(at, _)| text[..*at].chars().count().abs_diff(32))
        .map(|(at, _)| at);
    let space = || {
        text.match_indices(' ')
            .map(|(at, _)| at)
            .rfind(|at| fits(*at))
    };
    let at = comma
        .or(connector)
        .or_else(|| if total > MOST { space() } else { None });
    match at {
        Some(at) => {
            let rest = text[at..].trim_start_matches([',', ' ']);
            (
                text[..at].to_owned(),
                Some(rest.to_owned()).filter(|rest| !rest.is_empty()),
            )
        }
        None => (text.to_owned(), None),
    }
}
