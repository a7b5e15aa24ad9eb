//! A list of words and phrases, one a line, of which nothing that users write may have any.

use std::{collections::HashSet, fs, io, path::Path};

use unicode_normalization::UnicodeNormalization;

use crate::domain::read_text;

use super::Verdict;

/// Words and phrases as they are compared: their words in small letters, one space between them.
#[derive(Debug, Default)]
pub struct WordList {
    phrases: HashSet<Vec<String>>,
    /// Words of the longest phrase.
    longest: usize,
}

/// The list cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("moderation.words: cannot read {path}")]
pub struct WordListError {
    path: String,
    source: io::Error,
}

impl WordList {
    /// Reads a file of UTF-8; empty lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(file: &Path) -> Result<Self, WordListError> {
        let read = fs::read(file).and_then(|bytes| read_text(&bytes).map_err(io::Error::other));
        let text = read.map_err(|source| WordListError {
            path: file.display().to_string(),
            source,
        })?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.starts_with('#'));
        let phrases = lines.map(words).filter(|phrase| !phrase.is_empty());
        let phrases: HashSet<_> = phrases.collect();
        let longest = phrases.iter().map(Vec::len).max().unwrap_or_default();
        Self { phrases, longest }
    }

    pub(super) fn judge(&self, text: &str) -> Verdict {
        let words = words(text);
        let found = (1..=self.longest).any(|length| {
            let mut windows = words.windows(length);
            windows.any(|phrase| self.phrases.contains(phrase))
        });
        match found {
            true => Verdict::Rejected(Vec::new()),
            false => Verdict::Accepted,
        }
    }
}

/// Its words in small letters, whatever forms its letters have, without what nobody sees within them.
fn words(text: &str) -> Vec<String> {
    let visible = text.chars().filter(|c| !is_invisible(*c));
    let plain: String = visible.nfkc().flat_map(char::to_lowercase).collect();
    let words = plain.split(|c: char| !c.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// Joiners, directions and soft hyphens, by which a word looks the same and reads otherwise.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_and_phrases_are_found_however_they_are_written() {
        let list = WordList::parse("# a comment\n\nCấm\nvery  bad thing\n");
        let rejected = Verdict::Rejected(Vec::new());
        for text in [
            "một từ CẤM ở đây",
            "ca\u{302}\u{301}m",
            "a Very, bad\nthing.",
            "ｖｅｒｙ bad th\u{200b}ing",
        ] {
            assert_eq!(list.judge(text), rejected, "{text}");
        }
        for text in [
            "",
            "cam",
            "cấmm",
            "very bad",
            "a thing very bad",
            "# a comment",
        ] {
            assert_eq!(list.judge(text), Verdict::Accepted, "{text}");
        }
        assert_eq!(WordList::default().judge("cấm"), Verdict::Accepted);
    }
}
