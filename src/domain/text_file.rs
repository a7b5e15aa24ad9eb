//! Text files as people's editors leave them.

/// Why a file is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    /// As editors of Windows save what they call Unicode.
    #[error("it is UTF-16; save it as UTF-8")]
    Utf16,
    /// Of an older encoding, or no text at all.
    #[error("it is not UTF-8: its byte {at} belongs to no letter")]
    NotUtf8 {
        /// The first byte that is wrong, counted from 0.
        at: usize,
    },
}

/// The text of a file: UTF-8, without the mark that some editors put before it, and with lines that end as they do elsewhere.
///
/// # Errors
/// [`NotText`].
pub fn read_text(bytes: &[u8]) -> Result<String, NotText> {
    // With its mark, or known by the half of a first letter.
    let is_utf16 = matches!(
        bytes,
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, _, ..] | [_, 0, ..]
    );
    if is_utf16 {
        return Err(NotText::Utf16);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| NotText::NotUtf8 {
        at: error.valid_up_to(),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Ok(text.replace("\r\n", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_and_the_ends_of_lines_are_the_editors() {
        let plain = "a = 1\nb = \"ế\"\n";
        let marked = format!("\u{feff}{}", plain.replace('\n', "\r\n"));
        assert_eq!(read_text(marked.as_bytes()).unwrap(), plain);
        assert_eq!(read_text(plain.as_bytes()).unwrap(), plain);
        assert_eq!(read_text(b"a\rb\r").unwrap(), "a\rb\r");
        assert_eq!(read_text(b"").unwrap(), "");
    }

    #[test]
    fn another_encoding_is_called_by_its_name() {
        let utf16 = |text: &str, little: bool| -> Vec<u8> {
            let units = text.encode_utf16();
            let bytes = units.map(|it| {
                if little {
                    it.to_le_bytes()
                } else {
                    it.to_be_bytes()
                }
            });
            bytes.flatten().collect()
        };
        for text in ["\u{feff}a = 1", "a = 1"] {
            for little in [true, false] {
                assert_eq!(read_text(&utf16(text, little)), Err(NotText::Utf16));
            }
        }
        assert_eq!(read_text(b"a = \"\xe9\""), Err(NotText::NotUtf8 { at: 5 }));
    }
}
