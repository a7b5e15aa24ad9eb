//! A small picture in the terminal, drawn from a BlurHash with two pixels a character.

use std::fmt::Write as _;
use std::io::{IsTerminal, stdout};

/// Width of a preview in characters; one is as wide as half its height.
const COLUMNS: u32 = 28;

/// The most lines that a preview takes.
const MOST_ROWS: u32 = 16;

/// Upper half block: the foreground colours the upper pixel, the background the lower one.
const UPPER_HALF: char = '▀';

/// Whether previews can be seen: standard output is a terminal that shows colours, and nobody asked for none.
pub(super) fn is_wanted() -> bool {
    let asked_for_none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_plain = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stdout().is_terminal() && !asked_for_none && !is_plain
}

/// The lines of a preview of a picture of `width` x `height` pixels, each ended by a reset and a newline; `None` if the
/// hash cannot be read.
pub(super) fn draw(blurhash: &str, width: u32, height: u32) -> Option<String> {
    let (columns, rows) = grid(width, height);
    let pixels = blurhash::decode(blurhash, columns, rows * 2, 1.0).ok()?;
    let (pixels, _) = pixels.as_chunks::<4>();
    let mut lines = pixels.chunks(columns as usize);
    let mut drawing = String::new();
    while let (Some(upper), Some(lower)) = (lines.next(), lines.next()) {
        for (upper, lower) in upper.iter().zip(lower) {
            let _ = write!(
                drawing,
                "{}{}{UPPER_HALF}",
                colour(38, upper),
                colour(48, lower)
            );
        }
        drawing.push_str("\x1b[0m\n");
    }
    Some(drawing)
}

/// Characters and lines that keep the picture's shape within the bounds.
fn grid(width: u32, height: u32) -> (u32, u32) {
    let (width, height) = (u64::from(width.max(1)), u64::from(height.max(1)));
    let fits = |value: u64, most: u32| u32::try_from(value).unwrap_or(most).clamp(1, most);
    let rows = (u64::from(COLUMNS) * height).div_ceil(width * 2);
    if rows <= u64::from(MOST_ROWS) {
        (COLUMNS, fits(rows, MOST_ROWS))
    } else {
        (
            fits(u64::from(MOST_ROWS) * 2 * width / height, COLUMNS),
            MOST_ROWS,
        )
    }
}

/// The escape sequence for a 24-bit colour; `plane` is 38 for the foreground, 48 for the background.
fn colour(plane: u8, [red, green, blue, _]: &[u8; 4]) -> String {
    format!("\x1b[{plane};2;{red};{green};{blue}m")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Left half red, right half blue.
    fn two_colours() -> String {
        let row = |x: u32| {
            if x < 16 {
                [255, 0, 0, 255]
            } else {
                [0, 0, 255, 255]
            }
        };
        let picture: Vec<u8> = (0..32).flat_map(|_| (0..32).flat_map(row)).collect();
        blurhash::encode(4, 3, 32, 32, &picture).unwrap()
    }

    #[test]
    fn the_colours_stand_where_they_are_in_the_picture() {
        let drawing = draw(&two_colours(), 32, 32).unwrap();
        let line = drawing.lines().next().unwrap();
        let colours: Vec<Vec<u8>> = line
            .split("\x1b[38;2;")
            .skip(1)
            .map(|cell| {
                cell.split('m')
                    .next()
                    .unwrap()
                    .split(';')
                    .map(|part| part.parse().unwrap())
                    .collect()
            })
            .collect();
        let (first, last) = (colours.first().unwrap(), colours.last().unwrap());
        assert!(first[0] > 200 && first[2] < 150, "{first:?}");
        assert!(last[2] > 200 && last[0] < 150, "{last:?}");
    }

    #[test]
    fn every_line_is_as_long_and_resets_the_colours() {
        let drawing = draw(&two_colours(), 1920, 1080).unwrap();
        let (columns, rows) = grid(1920, 1080);
        assert_eq!(drawing.lines().count(), rows as usize);
        for line in drawing.lines() {
            assert_eq!(line.matches(UPPER_HALF).count(), columns as usize);
            assert!(line.ends_with("\x1b[0m"));
        }
    }

    #[test]
    fn the_shape_of_the_picture_is_kept_within_the_bounds() {
        assert_eq!(grid(1000, 1000), (28, 14));
        assert_eq!(grid(1920, 1080), (28, 8));
        assert_eq!(grid(1080, 1920), (18, 16));
        for (width, height) in [(0, 0), (1, u32::MAX), (u32::MAX, 1), (u32::MAX, u32::MAX)] {
            let (columns, rows) = grid(width, height);
            assert!(
                (1..=COLUMNS).contains(&columns) && (1..=MOST_ROWS).contains(&rows),
                "{width}x{height}"
            );
        }
    }

    #[test]
    fn what_is_no_blurhash_is_not_drawn() {
        for hash in [
            "",
            "abc",
            "not a hash at all",
            "LEHV6nWB2yk8pyo0adR*.7kCMdn",
        ] {
            assert_eq!(draw(hash, 100, 100), None, "{hash}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_drawing_panic(hash in ".{0,40}", width: u32, height: u32) {
            draw(&hash, width, height);
        }
    }
}
