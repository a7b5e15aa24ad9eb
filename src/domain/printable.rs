//! Words of others as they may stand within a line of ours.

/// Whether a letter breaks no line, moves no cursor and turns no words around: no control character, separator of lines
/// or control of the direction of writing.
pub fn is_printable(letter: char) -> bool {
    !letter.is_control()
        && !matches!(letter,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with all other letters written out, such as `\n` and `\u{202e}`.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_printable(letter) {
            printable.push(letter);
        } else {
            printable.extend(letter.escape_default());
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_forge_a_line_is_written_out_and_all_else_stays() {
        let hostile = "a\n\r\u{1b}[31m\u{9b}\u{85}\u{202e}\u{2066}\u{2028}\0";
        let written = r"a\n\r\u{1b}[31m\u{9b}\u{85}\u{202e}\u{2066}\u{2028}\u{0}";
        assert_eq!(printable(hostile), written);
        let innocent = "Khai trương: giảm 50% \"é\" \\ 👩\u{200d}🎨";
        assert_eq!(printable(innocent), innocent);
    }
}
