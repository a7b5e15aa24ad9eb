//! What of JPEG the decoder does not do by itself: passing by a broken segment, and telling of damage.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hasher};

use image::DynamicImage;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::ending;
use crate::provenance::jpeg::segments;

const APP14: u8 = 0xEE;
/// Where in Adobe's segment stands how colours are transformed; there are three ways.
const TRANSFORM: usize = 11;
const MOST_TRANSFORM: u8 = 2;
const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
/// Bytes by which a picture is made longer to see whether that changes it.
const FILLER: usize = 512;

/// The file without Adobe's segments that are cut off or say what nobody knows: others pass them by.
pub(super) fn readable(content: &[u8]) -> Cow<'_, [u8]> {
    let is_broken = |data: &[u8]| {
        let transform = data.get(TRANSFORM);
        data.starts_with(b"Adobe") && transform.is_none_or(|known| *known > MOST_TRANSFORM)
    };
    let broken = segments(content).filter(|it| it.marker == APP14 && is_broken(it.data));
    let (mut kept, mut done) = (Vec::new(), 0);
    for segment in broken {
        kept.extend_from_slice(&content[done..segment.at]);
        done = segment.end();
    }
    match done {
        0 => Cow::Borrowed(content),
        done => {
            kept.extend_from_slice(&content[done..]);
            Cow::Owned(kept)
        }
    }
}

/// What comes of a file when the decoder is strict, and when there is more data before the end: as is, it takes what comes and
/// fills the rest. More data changes nothing of a picture that is whole.
pub(super) struct Longer(Result<Digest, String>);

type Digest = u64;

impl Longer {
    /// Only of a file whose size was looked at.
    pub(super) fn read(content: &[u8]) -> Self {
        let end = ending::end_of_jpeg(content).ok_or("the end is missing".to_owned());
        let pixels = end.and_then(|end| {
            let (data, _) = content.split_at(end - END_OF_IMAGE.len());
            let filler = (0..FILLER).map(|at| (at * 73 + 41) as u8 & 0x7F);
            let longer = data.iter().copied().chain(filler).chain(END_OF_IMAGE);
            strictly(&longer.collect::<Vec<u8>>())
        });
        Self(pixels.map(|pixels| digest(&pixels)))
    }

    /// How the file is damaged of which `picture` was decoded, if it is.
    pub(super) fn damage(self, picture: &DynamicImage) -> Option<String> {
        match self.0 {
            Ok(pixels) if pixels == digest(picture.as_bytes()) => None,
            Ok(_) => Some("the data of the picture breaks off".to_owned()),
            Err(why) => Some(why),
        }
    }
}

fn digest(pixels: &[u8]) -> Digest {
    let mut hasher = DefaultHasher::new();
    hasher.write(pixels);
    hasher.finish()
}

/// Decodes it as the reader of pictures does, but for what that does with damage.
fn strictly(content: &[u8]) -> Result<Vec<u8>, String> {
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(content), options);
    decoder
        .decode_headers()
        .map_err(|error| error.to_string())?;
    let colours = match decoder.input_colorspace() {
        Some(
            colours @ (ColorSpace::Luma | ColorSpace::LumaA | ColorSpace::RGB | ColorSpace::RGBA),
        ) => colours,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(
        options
            .jpeg_set_out_colorspace(colours)
            .set_strict_mode(true),
    );
    decoder.decode().map_err(|error| error.to_string())
}
