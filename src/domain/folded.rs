//! Text as a search compares it.

use unicode_normalization::UnicodeNormalization;

use super::Names;

/// The text in one form of Unicode (NFKC) and without case. Marks stay: in Vietnamese they make another word.
pub fn folded(text: &str) -> String {
    // Upper case brings together what lower case keeps apart, such as ß and ss.
    let upper = text.nfkc().flat_map(char::to_uppercase);
    upper.flat_map(char::to_lowercase).nfkc().collect()
}

/// What a search by text looks through: what people read, in every language. The text searched for has no line breaks, so it
/// is in one of them.
pub fn folded_lines(name: &str, description: &str, names: &Names) -> String {
    let translated = names.translations.values();
    let translated = translated.flat_map(|texts| [&*texts.display_name, &*texts.description]);
    let own = [name, description, &names.display_name];
    let lines: Vec<_> = own.into_iter().chain(translated).map(folded).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_in_case_or_form_are_folded_into_one() {
        for (one, other) in [
            ("PHỞ", "phở"),
            ("pho\u{31b}\u{309}", "phở"),
            ("PHO\u{309}\u{31b}", "phở"),
            ("Khai Trương", "khai tru\u{31b}o\u{31b}ng"),
            ("ĐÀ NẴNG", "đà nẵng"),
            ("Straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("ＳＡＬＥ", "sale"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} and {other}");
        }
        assert_ne!(folded("pho"), folded("phở"));
        assert!(!folded("phở bò").contains(&folded("pho")));
    }
}
