//! What a browser calls a file that it keeps: `Content-Disposition` (RFC 6266, RFC 8187).

use percent_encoding::utf8_percent_encode;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::domain::FileName;

use super::key::StorageKey;
use super::presign::ESCAPED;

/// The header of an object that is to be shown, with its name in full and in ASCII for programs that know no other.
pub fn content_disposition(key: &StorageKey, name: FileName<'_>) -> String {
    let name = format!("{name}.{}", key.format().as_str());
    let ascii: String = name
        .nfd()
        .filter(|&letter| !is_combining_mark(letter))
        .map(plain)
        .collect();
    let escaped = utf8_percent_encode(&name, ESCAPED);
    format!("inline; filename=\"{ascii}\"; filename*=UTF-8''{escaped}")
}

/// The letter, or what stands for it.
fn plain(letter: char) -> char {
    match letter {
        'đ' => 'd',
        'a'..='z' | '0'..='9' | '-' | '.' => letter,
        _ => '_',
    }
}

#[cfg(test)]
mod tests {
    use codec::Format;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{MediaRole, Place};

    fn header(prompt: &str) -> String {
        let place = Place {
            variation: 0,
            index: None,
        };
        let name = FileName {
            prompt,
            request_id: 7,
            place,
            role: MediaRole::Original,
        };
        content_disposition(&StorageKey::for_output(1, "a lease", 0, Format::Jpg), name)
    }

    #[test]
    fn a_name_is_told_in_full_and_in_ascii() {
        assert_eq!(
            header("Quán cà phê \"Đá\"; giảm 50%"),
            "inline; filename=\"quan-ca-phe-da-giam-50-7-1.jpg\"; \
             filename*=UTF-8''qu%C3%A1n-c%C3%A0-ph%C3%AA-%C4%91%C3%A1-gi%E1%BA%A3m-50-7-1.jpg"
        );
        assert!(header("お茶").starts_with("inline; filename=\"__-7-1.jpg\"; "));
    }

    proptest! {
        #[test]
        fn whatever_was_asked_for_the_header_holds_one_name(prompt in "\\PC*|(?s).*") {
            let header = header(&prompt);
            prop_assert!(header.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{header}");
            prop_assert_eq!(header.matches('"').count(), 2);
            prop_assert_eq!(header.matches(';').count(), 2);
            let escaped = header.split_once("''").unwrap().1;
            let name = percent_encoding::percent_decode_str(escaped).decode_utf8().unwrap();
            prop_assert!(name.ends_with("-7-1.jpg") && !name.contains(['/', '\\', '\0']), "{name}");
        }
    }
}
