//! What is wrong with a message, cut to what fits into an answer.

use std::fmt;

use strum::IntoEnumIterator;

use super::{
    flaw::{Bounds, Flaw, Problem, cut},
    language::Language,
    printable::printable,
};

/// What of the violations is told. An answer's headers carry them, and common clients refuse more than 16 KiB of headers:
/// so a hostile message must not make its answer long.
const MAX_TOLD: usize = 32;
const MAX_TOLD_BYTES: usize = 5_000;
const MAX_FIELD_CHARS: usize = 200;
const MAX_DESCRIPTION_CHARS: usize = 300;
/// What of them stands in one sentence.
const MAX_SUMMARISED: usize = 3;
const MAX_SUMMARY_BYTES: usize = 900;

/// One field that breaks its rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// Path of the field in the message, such as `input.output.width`.
    pub field: String,
    /// What was expected, and what came.
    pub description: String,
    /// Which kind of rule it is.
    pub flaw: Flaw,
    /// The rule's bounds, and what was found.
    pub bounds: Bounds,
}

impl Violation {
    /// Texts, which quote the client's own, are made printable, and cut where they are long.
    pub fn new(field: impl Into<String>, problem: impl Into<Problem>) -> Self {
        let problem = problem.into();
        Self {
            field: cut(printable(&field.into()), MAX_FIELD_CHARS),
            description: cut(printable(&problem.description), MAX_DESCRIPTION_CHARS),
            flaw: problem.flaw,
            bounds: problem.bounds,
        }
    }

    /// For the user, at most 300 characters.
    pub fn sentence(&self, language: Language) -> String {
        let said = self.bounds.sentence(self.flaw, language);
        cut(printable(&said), MAX_DESCRIPTION_CHARS)
    }

    /// Of all that is told, in the language that takes most.
    fn bytes(&self) -> usize {
        let sentences = Language::iter().map(|language| self.sentence(language).len());
        let sentence = sentences.max().unwrap_or_default();
        let (reason, bounds) = (self.flaw.as_str().len(), self.bounds.bytes());
        self.field.len() + self.description.len() + reason + sentence + bounds
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.description)
    }
}

/// What breaks its rules in one message: the first violations in words, the others by number only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Violations {
    told: Vec<Violation>,
    bytes: usize,
    untold: usize,
}

impl Violations {
    /// The first ones: at most 32, and at most 5,000 bytes.
    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.told.iter()
    }

    /// How many there are, told or not.
    pub fn count(&self) -> usize {
        self.told.len() + self.untold
    }

    /// Whether there are none, told or not.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Makes and tells the violation if there is room and all before it are told, else only counts it.
    pub(super) fn add(&mut self, violation: impl FnOnce() -> Violation) {
        if self.untold > 0 || self.told.len() == MAX_TOLD {
            self.untold += 1;
            return;
        }
        let violation = violation();
        let bytes = self.bytes + violation.bytes();
        if bytes > MAX_TOLD_BYTES {
            self.untold += 1;
        } else {
            self.bytes = bytes;
            self.told.push(violation);
        }
    }

    /// The same under other names.
    pub(super) fn rename(self, name: impl Fn(&str) -> String) -> Self {
        let mut renamed = Self::default();
        for violation in self.told {
            let field = cut(name(&violation.field), MAX_FIELD_CHARS);
            renamed.add(|| Violation { field, ..violation });
        }
        renamed.untold += self.untold;
        renamed
    }

    pub(super) fn extend(&mut self, others: Self) {
        for violation in others.told {
            self.add(|| violation);
        }
        self.untold += others.untold;
    }
}

impl IntoIterator for Violations {
    type Item = Violation;
    type IntoIter = std::vec::IntoIter<Violation>;

    /// The first ones, as [`Violations::iter`].
    fn into_iter(self) -> Self::IntoIter {
        self.told.into_iter()
    }
}

impl fmt::Display for Violations {
    /// One line of at most 1,000 bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.told.iter().take(MAX_SUMMARISED);
        let first = first
            .map(Violation::to_string)
            .collect::<Vec<_>>()
            .join("; ");
        let kept = first.floor_char_boundary(MAX_SUMMARY_BYTES);
        f.write_str(&first[..kept])?;
        if kept < first.len() {
            f.write_str("…")?;
        }
        match self.count().saturating_sub(MAX_SUMMARISED) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(count: usize, description: &str) -> Violations {
        let mut violations = Violations::default();
        for index in 0..count {
            violations.add(|| Violation::new(format!("urls[{index}]"), description));
        }
        violations
    }

    #[test]
    fn the_first_ones_are_told_and_all_are_counted() {
        let found = violations(2_000, "is wrong");
        assert_eq!((found.iter().len(), found.count()), (32, 2_000));
        assert_eq!(
            found.to_string(),
            "urls[0]: is wrong; urls[1]: is wrong; urls[2]: is wrong; and 1997 more"
        );
    }

    #[test]
    fn what_a_client_wrote_forges_nothing() {
        let told = Violation::new("variables.a\nERROR b", "is \u{1b}[31m\u{202e}").to_string();
        assert_eq!(told, r"variables.a\nERROR b: is \u{1b}[31m\u{202e}");
    }

    #[test]
    fn a_few_are_all_in_the_sentence() {
        assert_eq!(violations(1, "is wrong").to_string(), "urls[0]: is wrong");
        assert!(!violations(3, "is wrong").to_string().contains("more"));
    }

    #[test]
    fn long_texts_of_many_bytes_stay_within_the_bounds() {
        let found = violations(50, &"🎨".repeat(30_000));
        let bytes: usize = found.iter().map(Violation::bytes).sum();
        assert!((1..=MAX_TOLD_BYTES).contains(&bytes), "{bytes}");
        assert_eq!(found.count(), 50);
        assert!(found.to_string().len() <= 1_000, "{}", found.to_string());
    }

    #[test]
    fn a_cut_text_ends_in_an_ellipsis_and_one_that_fits_is_whole() {
        let violation = Violation::new("ế".repeat(200), "ế".repeat(301));
        assert_eq!(violation.field, "ế".repeat(200));
        assert_eq!(violation.description, format!("{}…", "ế".repeat(299)));
    }

    #[test]
    fn those_found_elsewhere_keep_their_count() {
        let mut found = violations(19, "is wrong");
        found.extend(violations(40, "is wrong"));
        assert_eq!((found.iter().len(), found.count()), (32, 59));
    }
}
