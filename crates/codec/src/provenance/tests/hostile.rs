//! Files that mean harm, or have come to it.

use proptest::prelude::*;

use super::*;

#[test]
fn a_packet_of_endless_nesting_or_size_is_not_looked_into() {
    let deep = "<a>".repeat(200_000);
    let namespaces: String = (0..3_000)
        .map(|level| format!("<a xmlns:n{level}=\"u{level}\">"))
        .collect();
    for packet in [
        deep,
        namespaces + &"</a>".repeat(3_000),
        " ".repeat(5 << 20),
        "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>".to_owned(),
    ] {
        let content = picture(ImageFormat::Png);
        let hostile = with_foreign_packet(Format::Png, &content, &packet).unwrap();
        assert_eq!(read(&hostile), None);
        assert!(embed(&hostile, Format::Png, RECIPE).is_err());
    }
}

/// Whatever the content is: no panic, and what is taken for embedded can be read.
fn holds(content: &[u8], format: Format) {
    read(content);
    if let Ok(embedded) = embed(content, format, RECIPE) {
        assert_eq!(read(&embedded), parsed(RECIPE), "{format}");
    }
}

#[test]
fn a_file_that_breaks_off_anywhere_does_no_harm() {
    for (format, content) in samples() {
        let last = content.len().min(700);
        for kept in (0..last).chain(content.len() - last..content.len()) {
            holds(&content[..kept], format);
        }
    }
}

#[test]
fn a_file_with_any_byte_changed_does_no_harm() {
    for (format, content) in samples() {
        let mut content = embed(&content, format, OTHER).unwrap().to_vec();
        for at in 0..content.len().min(400) {
            for value in [0, 1, 0xFF] {
                let before = std::mem::replace(&mut content[at], value);
                holds(&content, format);
                content[at] = before;
            }
        }
    }
}

#[test]
fn a_box_longer_than_anything_ends_the_search() {
    let mut content = b"\0\0\0\x08ftyp\0\0\0\x01mdat".to_vec();
    content.extend([0xFF; 8]);
    holds(&content, Format::Mp4);
    assert!(embed(&content, Format::Mp4, RECIPE).is_err());
}

proptest! {
    #[test]
    fn any_bytes_behind_a_signature_do_no_harm(
        signature in prop::sample::select(vec![
            &b"\x89PNG\r\n\x1a\n"[..], b"\xff\xd8", b"RIFF\x40\0\0\0WEBP", b"RIFF\x40\0\0\0WAVE", b"GIF89a\x01\0\x01\0\x80\0\0",
            b"\0\0\0\x14ftypisom\0\0\x02\0isom", b"fLaC", b"",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let content = [signature, &rest].concat();
        for format in Format::ALL {
            holds(&content, format);
        }
    }
}
