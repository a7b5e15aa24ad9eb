//! H.264 in an MP4 file (ISO/IEC 14496-12 and -14): one video track, its index before its content ("fast start").

use bytes::Bytes;
use image::RgbImage;
use mp4_atom::{
    Avc1, Avcc, Codec, Colr, Dinf, Dref, DrefEntry, Encode, FixedPoint, FourCC, Ftyp, Hdlr, Mdhd,
    Mdia, Minf, Moov, Mvhd, Stbl, Stco, Stsc, StscEntry, Stsd, Stss, Stsz, StszSamples, Stts,
    SttsEntry, Tkhd, Trak, Url, Visual, Vmhd,
};

use super::h264::H264Encoder;
use super::{CodecError, VideoWriter, check_size, no_frames};

/// Units of time that one frame lasts; the time scale is this times the frame rate, so that no frame drifts.
const TICKS: u32 = 1000;
/// Length of a box's header: its size and its type, four bytes each.
const BOX_HEADER: usize = 8;
/// Dots per inch of a screen, as all files say it (ISO/IEC 14496-12, section 12.1.3).
const RESOLUTION: u16 = 72;
/// BT.709 in the code points of ISO/IEC 23091-2, for primaries, transfer and matrix alike.
const BT_709: u16 = 1;

/// Writes MP4 files.
pub(super) struct Mp4Writer {
    encoder: H264Encoder,
    size: (u32, u32),
    frame_rate: u32,
    /// The encoded frames, one after another.
    content: Vec<u8>,
    /// Bytes of each frame.
    lengths: Vec<u32>,
    /// Numbers of the frames where decoding may start, from 1.
    keys: Vec<u32>,
}

impl Mp4Writer {
    pub(super) fn new(size: (u32, u32), frame_rate: u32) -> Result<Self, CodecError> {
        Ok(Self {
            encoder: H264Encoder::new(size, frame_rate)?,
            size,
            frame_rate,
            content: Vec::new(),
            lengths: Vec::new(),
            keys: Vec::new(),
        })
    }
}

impl VideoWriter for Mp4Writer {
    fn push(&mut self, frame: &RgbImage) -> Result<(), CodecError> {
        check_size(frame, self.size)?;
        let sample = self.encoder.encode(frame)?;
        self.content.extend(sample.bytes);
        self.lengths.push(fit(sample.bytes.len())?);
        if sample.is_key {
            self.keys.push(fit(self.lengths.len())?);
        }
        Ok(())
    }

    fn written(&self) -> u64 {
        self.content.len() as u64
    }

    fn finish(self: Box<Self>) -> Result<Bytes, CodecError> {
        if self.lengths.is_empty() {
            return Err(no_frames());
        }
        let mut file = Vec::new();
        self.head(0, &mut file)?;
        // The index holds the content's place, and is as long whatever that is.
        let place = fit(file.len() + BOX_HEADER)?;
        file.clear();
        self.head(place, &mut file)?;
        let length = fit(self.content.len() + BOX_HEADER)?;
        file.extend(length.to_be_bytes());
        file.extend(b"mdat");
        file.extend(&self.content);
        Ok(file.into())
    }
}

impl Mp4Writer {
    /// Everything before the content, which begins `place` bytes into the file.
    fn head(&self, place: u32, file: &mut Vec<u8>) -> Result<(), CodecError> {
        let brands = [b"isom", b"iso2", b"avc1", b"mp41"];
        let ftyp = Ftyp {
            major_brand: b"isom".into(),
            minor_version: 0x200,
            compatible_brands: brands.map(FourCC::from).to_vec(),
        };
        ftyp.encode(file).map_err(failed)?;
        self.movie(place)?.encode(file).map_err(failed)
    }

    fn movie(&self, place: u32) -> Result<Moov, CodecError> {
        let timescale = self.frame_rate * TICKS;
        let duration = self.lengths.len() as u64 * u64::from(TICKS);
        // Even, as the encoder's pictures are.
        let side = |pixels: u32| u16::try_from(pixels.next_multiple_of(2)).map_err(failed);
        let size = (side(self.size.0)?, side(self.size.1)?);
        let media = Mdia {
            mdhd: Mdhd {
                timescale,
                duration,
                language: "und".to_owned(),
                ..Mdhd::default()
            },
            hdlr: Hdlr {
                handler: b"vide".into(),
                name: "VideoHandler".to_owned(),
            },
            minf: Minf {
                vmhd: Some(Vmhd::default()),
                dinf: Dinf {
                    dref: Dref {
                        entries: vec![DrefEntry::Url(Url::default())],
                    },
                },
                stbl: self.index(size, place)?,
                ..Minf::default()
            },
        };
        Ok(Moov {
            mvhd: Mvhd {
                timescale,
                duration,
                rate: 1.into(),
                volume: 1.into(),
                next_track_id: 2,
                ..Mvhd::default()
            },
            trak: vec![Trak {
                tkhd: Tkhd {
                    track_id: 1,
                    duration,
                    enabled: true,
                    in_movie: true,
                    width: size.0.into(),
                    height: size.1.into(),
                    ..Tkhd::default()
                },
                mdia: media,
                ..Trak::default()
            }],
            ..Moov::default()
        })
    }

    /// What each frame is, when it is shown, and where it lies: all in one chunk.
    fn index(&self, size: (u16, u16), place: u32) -> Result<Stbl, CodecError> {
        let count = fit(self.lengths.len())?;
        Ok(Stbl {
            stsd: Stsd {
                codecs: vec![Codec::Avc1(self.description(size)?)],
            },
            stts: Stts {
                entries: vec![SttsEntry {
                    sample_count: count,
                    sample_delta: TICKS,
                }],
            },
            stss: Some(Stss {
                entries: self.keys.clone(),
            }),
            stsc: Stsc {
                entries: vec![StscEntry {
                    first_chunk: 1,
                    samples_per_chunk: count,
                    sample_description_index: 1,
                }],
            },
            stsz: Stsz {
                samples: StszSamples::Different {
                    sizes: self.lengths.clone(),
                },
            },
            stco: Some(Stco {
                entries: vec![place],
            }),
            ..Stbl::default()
        })
    }

    fn description(&self, (width, height): (u16, u16)) -> Result<Avc1, CodecError> {
        let (sequence, picture) = &self.encoder.parameters;
        Ok(Avc1 {
            visual: Visual {
                data_reference_index: 1,
                width,
                height,
                horizresolution: FixedPoint::from(RESOLUTION),
                vertresolution: FixedPoint::from(RESOLUTION),
                frame_count: 1,
                depth: 24,
                ..Visual::default()
            },
            avcc: Avcc::new(sequence, picture).map_err(failed)?,
            colr: Some(Colr::new(BT_709, BT_709, BT_709, false).map_err(failed)?),
            ..Avc1::default()
        })
    }
}

/// The file's lengths and places are 32 bits wide.
fn fit(length: usize) -> Result<u32, CodecError> {
    u32::try_from(length)
        .map_err(|_| CodecError::Unsupported("the video has more than 4 GiB".to_owned()))
}

fn failed(error: impl std::fmt::Display) -> CodecError {
    CodecError::Unsupported(format!("MP4 writing failed: {error}"))
}
