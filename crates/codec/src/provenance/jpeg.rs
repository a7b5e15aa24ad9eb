//! JPEG: an APP1 segment with the name of XMP (ITU-T T.81, section B.1.1; XMP part 3, section 1.1.3).

use super::{
    NotEmbedded,
    edit::{Edit, bytes_at},
};

const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const EXIF: &[u8] = b"Exif\0\0";
const SEVERAL_PICTURES: &[u8] = b"MPF\0";
/// Longest packet in bytes, as the XMP specification bounds it.
const MAX_PACKET: usize = 65_502;

const START_OF_IMAGE: [u8; 2] = [0xFF, 0xD8];
const START_OF_SCAN: u8 = 0xDA;
const END_OF_IMAGE: u8 = 0xD9;
const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP2: u8 = 0xE2;

/// A marker segment's place in the file.
pub(crate) struct Segment<'a> {
    pub(crate) at: usize,
    pub(crate) marker: u8,
    pub(crate) data: &'a [u8],
}

impl<'a> Segment<'a> {
    /// The segment whose marker stands at this place.
    pub(crate) fn read(content: &'a [u8], at: usize) -> Option<Self> {
        let [0xFF, marker] = bytes_at(content, at)? else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes(bytes_at(content, at + 2)?));
        let data = content.get(at + 4..)?.get(..length.checked_sub(2)?)?;
        Some(Self { at, marker, data })
    }

    pub(crate) fn end(&self) -> usize {
        self.at + 4 + self.data.len()
    }

    fn is_xmp(&self) -> bool {
        self.marker == APP1 && self.data.starts_with(XMP)
    }

    /// Whether it belongs before all others: JFIF's and Exif's own.
    fn comes_first(&self) -> bool {
        self.marker == APP0 || (self.marker == APP1 && self.data.starts_with(EXIF))
    }
}

/// The segments before the pixels. Fill bytes between them, which nobody writes, end the search.
pub(crate) fn segments(content: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let read = move |at| {
        Segment::read(content, at)
            .filter(|segment| !matches!(segment.marker, START_OF_SCAN | END_OF_IMAGE))
    };
    let first = content.starts_with(&START_OF_IMAGE).then(|| read(2));
    std::iter::successors(first.flatten(), move |segment| read(segment.end()))
}

pub(super) fn packet(content: &[u8]) -> Option<&[u8]> {
    segments(content)
        .filter(Segment::is_xmp)
        .find_map(|segment| segment.data.strip_prefix(XMP))
}

pub(super) fn edits(
    content: &[u8],
    change: impl FnOnce(Option<&[u8]>) -> Result<Vec<u8>, NotEmbedded>,
) -> Result<Vec<Edit>, NotEmbedded> {
    let pixels = segments(content).last().map(|segment| segment.end());
    let marker = pixels.and_then(|at| bytes_at(content, at));
    if marker != Some([0xFF, START_OF_SCAN]) {
        return Err(NotEmbedded::Unfit(
            "its segments cannot be followed to the pixels",
        ));
    }
    let has_several = |it: Segment| it.marker == APP2 && it.data.starts_with(SEVERAL_PICTURES);
    if segments(content).any(has_several) {
        // Their sizes and places stand in the file.
        return Err(NotEmbedded::Unfit("it holds several pictures"));
    }
    if let Some(former) = segments(content).find(Segment::is_xmp) {
        let segment = segment(&change(former.data.strip_prefix(XMP))?)?;
        return Ok(vec![Edit::replace(former.at..former.end(), segment)]);
    }
    let before = segments(content).take_while(Segment::comes_first).last();
    let at = before.map_or(START_OF_IMAGE.len(), |segment| segment.end());
    Ok(vec![Edit::insert(at, segment(&change(None)?)?)])
}

fn segment(packet: &[u8]) -> Result<Vec<u8>, NotEmbedded> {
    let length = u16::try_from(2 + XMP.len() + packet.len()).ok();
    let length = length.filter(|_| packet.len() <= MAX_PACKET);
    let length = length.ok_or(NotEmbedded::TooLong {
        size: packet.len(),
        max: MAX_PACKET,
    })?;
    let mut segment = vec![0xFF, APP1];
    segment.extend(length.to_be_bytes());
    segment.extend(XMP);
    segment.extend(packet);
    Ok(segment)
}
