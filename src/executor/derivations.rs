//! Which files a job's input asks for besides what the provider makes, and how users are told of them.

use crate::{
    domain::{JobInput, MediaRole, Omission},
    media::{Derivation, DeriveError},
};
use codec::{Format, Kind};

/// What is to be made of an original, in the order of the rows: formats, thumbnails, poster, preview.
///
/// The formats are those asked for that the original has not: a provider that made another one than it was asked for costs
/// nobody the one that was wanted.
pub(super) fn wanted(input: &JobInput, original: Format) -> Vec<Derivation> {
    let asked = input.formats.iter().filter_map(|name| name.parse().ok());
    let formats = asked.filter(|format| *format != original);
    let derivatives = &input.derivatives;
    let sides = derivatives.thumbnail_sizes.iter();
    let thumbnails = sides.filter_map(|side| u32::try_from(*side).ok());
    let kind = original.kind();
    let poster = derivatives.make_poster && kind != Kind::Image;
    let preview = derivatives.make_preview && kind == Kind::Video;
    formats
        .map(Derivation::Format)
        .chain(thumbnails.map(Derivation::Thumbnail))
        .chain(poster.then_some(Derivation::Poster))
        .chain(preview.then_some(Derivation::Preview))
        .collect()
}

pub(super) fn role_of(derivation: Derivation) -> MediaRole {
    match derivation {
        Derivation::Format(_) => MediaRole::Format,
        Derivation::Thumbnail(_) => MediaRole::Thumbnail,
        Derivation::Poster => MediaRole::Poster,
        Derivation::Preview => MediaRole::Preview,
    }
}

/// What a person sees while a file is made.
pub(super) fn progress_message(derivation: Derivation) -> String {
    match derivation {
        Derivation::Format(format) => format!("converting to {format}"),
        Derivation::Thumbnail(_) => "making thumbnails".to_owned(),
        Derivation::Poster => "making the poster".to_owned(),
        Derivation::Preview => "making the preview".to_owned(),
    }
}

/// A file that could not be made of the output with this index.
pub(super) fn omission(index: usize, derivation: Derivation, error: &DeriveError) -> Omission {
    Omission {
        index,
        role: role_of(derivation),
        reason: sentence(error),
        format: match derivation {
            Derivation::Format(format) => Some(format.to_string()),
            _ => None,
        },
        thumbnail_size: match derivation {
            Derivation::Thumbnail(side) => Some(side),
            _ => None,
        },
    }
}

/// Why a file is left out, for the user.
fn sentence(error: &DeriveError) -> &'static str {
    match error {
        DeriveError::Unsupported(_) => "It cannot be made of this original.",
        DeriveError::Still => "It would lose its animation.",
        DeriveError::Corrupt(_) => "The original cannot be read to its end.",
        DeriveError::TooLarge => "It would be too large.",
        DeriveError::TimedOut => "It took too long.",
        DeriveError::Busy => "The server was too busy.",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input(more: serde_json::Value) -> JobInput {
        let mut input = json!({
            "provider": "builtin", "prompt": "", "user_prompt": "", "seed": 1,
            "width": 64, "height": 64, "aspect_ratio": "1:1",
        });
        input
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        serde_json::from_value(input).unwrap()
    }

    #[test]
    fn everything_asked_for_is_made_in_the_order_of_the_rows() {
        let all = input(json!({
            "format": "mp4", "formats": ["mp4", "gif"],
            "derivatives": { "make_preview": true, "make_poster": true, "thumbnail_sizes": [320, 64] },
        }));
        let (large, small) = (Derivation::Thumbnail(320), Derivation::Thumbnail(64));
        let gif = Derivation::Format(Format::Gif);
        assert_eq!(
            wanted(&all, Format::Mp4),
            [gif, large, small, Derivation::Poster, Derivation::Preview]
        );
        assert_eq!(
            wanted(&all, Format::Wav)[4..],
            [Derivation::Poster],
            "sound has no preview"
        );
        assert_eq!(
            wanted(&all, Format::Png)[2..],
            [large, small],
            "a picture needs no poster"
        );
        assert_eq!(wanted(&input(json!({})), Format::Png), []);
    }

    #[test]
    fn the_formats_are_those_that_the_original_has_not() {
        let formats = |original| {
            wanted(
                &input(json!({ "format": "png", "formats": ["png", "webp"] })),
                original,
            )
        };
        let (png, webp) = (
            Derivation::Format(Format::Png),
            Derivation::Format(Format::Webp),
        );
        assert_eq!(formats(Format::Png), [webp]);
        assert_eq!(formats(Format::Webp), [png]);
        assert_eq!(formats(Format::Jpg), [png, webp]);
        let of_the_feature = input(json!({ "format": "png" }));
        assert_eq!(wanted(&of_the_feature, Format::Webp), []);
    }
}
