//! Holds the composer's reading of prompts beside the table of what a designer would do (`prompts.toml`).

use proptest::prelude::*;
use proptest::sample::Index;
use toml::{Table, Value};

use super::super::font::{Face, showable};
use super::Wording;

const ROLES: [&str; 6] = ["kicker", "headline", "line", "date", "seal", "emphasis"];

/// What may stand between words.
#[rustfmt::skip]
const MARKS: &[&str] = &[
    " ", " ", " ", ", ", ": ", " - ", ". ", "\n", "|", " – ", "—", "! ", "", "/", " đ ", "k ", "% ", " $", "-", "...", "; ", "\u{a0}",
];

fn rows() -> Vec<Table> {
    let table: Table = include_str!("prompts.toml").parse().unwrap();
    let groups = table.values().flat_map(|group| group.as_array().unwrap());
    let rows: Vec<Table> = groups.map(|row| row.as_table().unwrap().clone()).collect();
    let known = |key: &String| ["said", "except"].contains(&key.as_str()) || is_role(key);
    for row in &rows {
        assert!(row.keys().all(known), "a role that is none: {row}");
    }
    rows
}

fn is_role(key: &str) -> bool {
    ROLES.contains(&key)
}

fn cell<'a>(row: &'a Table, key: &str) -> &'a str {
    row.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// What the composer makes of a prompt, in the order of the roles.
fn read(said: &str) -> [String; 6] {
    let wording = Wording::of(&showable(said, &Face::ALL), None);
    let seal = wording.offer.map(|offer| {
        let unit = if offer.after.starts_with('/') {
            ""
        } else {
            " "
        };
        let seal = format!("{} {}{unit}{}", offer.before, offer.value, offer.after);
        seal.trim().to_owned()
    });
    [
        wording.kicker,
        Some(wording.headline),
        wording.subline,
        wording.details,
        seal,
        wording.emphasis,
    ]
    .map(Option::unwrap_or_default)
}

/// How a row is read otherwise than it says; nothing where it is right.
fn misread(row: &Table) -> Option<String> {
    let got = read(cell(row, "said"));
    let told: Vec<String> = ROLES
        .iter()
        .zip(&got)
        .filter(|(role, got)| cell(row, role) != got.as_str())
        .map(|(role, got)| format!("  {role}: {got:?}, not {:?}", cell(row, role)))
        .collect();
    let said = cell(row, "said");
    (!told.is_empty()).then(|| format!("{said:?}\n{}", told.join("\n")))
}

#[test]
fn prompts_are_read_as_a_designer_would() {
    let rows = rows();
    let (known, held): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.contains_key("except"));
    let wrong: Vec<String> = held.iter().filter_map(|row| misread(row)).collect();
    let right = held.len() - wrong.len();
    println!("{right} of {} rows are right", rows.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // One that is right after all is an exception no more.
    for row in known {
        assert!(misread(row).is_some(), "{row}");
    }
}

/// The letters and digits of a text, in an order of their own: roles stand elsewhere than their words did.
fn letters(text: &str) -> Vec<char> {
    let mut letters: Vec<char> = text.chars().filter(|c| c.is_alphanumeric()).collect();
    letters.sort_unstable();
    letters
}

/// Whether each letter of a prompt stands in exactly one role.
fn keeps_letters(said: &str) -> bool {
    let said = showable(said, &Face::ALL);
    let [kicker, headline, line, date, ..] = read(&said);
    let told = [kicker, headline, line, date].concat();
    told.contains('…') || letters(&told) == letters(&said)
}

#[test]
fn no_letter_of_a_prompt_is_changed_or_lost() {
    for row in rows() {
        assert!(keeps_letters(cell(&row, "said")), "{row}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_letter_of_any_mix_of_prompts_is_changed_or_lost(mix in prop::collection::vec((any::<Index>(), any::<Index>()), 1..14)) {
        let rows = rows();
        let words: Vec<&str> = rows.iter().flat_map(|row| cell(row, "said").split_whitespace()).collect();
        let said: String = mix.iter().flat_map(|(word, mark)| [*word.get(&words), *mark.get(MARKS)]).collect();
        prop_assert!(keeps_letters(&said), "{said:?}");
    }
}
