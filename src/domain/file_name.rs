//! Names of files that a person can read: the same wherever the file of a media is downloaded.

use std::fmt;

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use super::MediaRole;

/// The longest part of a prompt that a file name holds, in characters.
const PROMPT_CHARS: usize = 48;

/// What the file of a media is called, without the end that tells its format, such as `cup-of-tea-7-1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileName<'a> {
    /// What the user asked for.
    pub prompt: &'a str,
    /// The one that the file was made for.
    pub request_id: i64,
    /// The output that it is.
    pub place: Place,
    /// What it is to that.
    pub role: MediaRole,
}

/// An output's place among the results of its request, such as `2`, or `2-3` for the third of the second variation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 0.
    pub variation: i32,
    /// Among the outputs of its job, from 0; `None` for an only one.
    pub index: Option<usize>,
}

impl fmt::Display for FileName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = readable(self.prompt);
        write!(f, "{words}-{}-{}", self.request_id, self.place)?;
        match self.role {
            MediaRole::Original | MediaRole::Format => Ok(()),
            role => write!(f, "-{}", <&str>::from(role)),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", i64::from(self.variation) + 1)?;
        match self.index {
            Some(index) => write!(f, "-{}", index.saturating_add(1)),
            None => Ok(()),
        }
    }
}

/// The words of a prompt in lower case with hyphens between them, cut after a whole word where possible.
fn readable(prompt: &str) -> String {
    let lower: String = prompt.to_lowercase().nfc().collect();
    let mut name = String::new();
    for word in lower
        .split(|letter: char| !letter.is_alphanumeric() && !is_combining_mark(letter))
        .map(|word| word.trim_start_matches(is_combining_mark))
        .filter(|word| !word.is_empty())
    {
        let separator = if name.is_empty() { "" } else { "-" };
        if name.chars().count() + separator.len() + word.chars().count() > PROMPT_CHARS {
            if name.is_empty() {
                name.extend(word.chars().take(PROMPT_CHARS));
            }
            break;
        }
        name.push_str(separator);
        name.push_str(word);
    }
    if name.is_empty() {
        "media".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_the_beginning_of_the_prompt() {
        assert_eq!(
            readable("Khai trương quán cà phê: giảm 50% cả tuần"),
            "khai-trương-quán-cà-phê-giảm-50-cả-tuần"
        );
        let decomposed = "Khai tru\u{31b}o\u{31b}ng: ca\u{300} phe\u{302} x\u{300}y";
        assert_eq!(readable(decomposed), "khai-trương-cà-phê-x\u{300}y");
        assert_eq!(readable("❤\u{fe0f}Tết ❤\u{fe0f}"), "tết");
        assert_eq!(readable("../../etc/passwd"), "etc-passwd");
        assert_eq!(readable("🎉 !!"), "media");
        assert_eq!(readable(&"đ".repeat(500)).chars().count(), PROMPT_CHARS);
        assert!(readable(&"lời chúc ".repeat(100)).ends_with("-lời"));
    }

    #[test]
    fn a_file_name_tells_the_request_the_place_in_it_and_what_is_no_result() {
        let name = |index, role| {
            let place = Place {
                variation: 1,
                index,
            };
            let name = FileName {
                prompt: "A cup of tea",
                request_id: 7,
                place,
                role,
            };
            name.to_string()
        };
        assert_eq!(name(None, MediaRole::Original), "a-cup-of-tea-7-2");
        assert_eq!(name(Some(2), MediaRole::Format), "a-cup-of-tea-7-2-3");
        assert_eq!(name(None, MediaRole::Poster), "a-cup-of-tea-7-2-poster");
    }
}
