//! Reading of sound files, by Symphonia.

use std::io::{Cursor, Read};

use symphonia::core::audio::Channels;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_MP3, CODEC_ID_OPUS, CODEC_ID_VORBIS,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoder};
use symphonia::core::codecs::audio::{AudioDecoderOptions, CODEC_ID_NULL_AUDIO};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{
    MediaSource, MediaSourceStream, MediaSourceStreamOptions, ReadOnlySource,
};
use symphonia::core::packet::Packet;
use symphonia::default::formats::{FlacReader, MpaReader, OggReader, WavReader};
use symphonia::default::get_codecs;

use crate::Format;
use crate::signature::id3_length;
use crate::{Bounds, CodecError};

use super::{Sound, SoundFacts, Track, length, riff};

/// More is no sound for people, and each costs memory.
pub(super) const MAX_CHANNELS: u16 = 8;
/// Twice the highest rate in use.
const MAX_SAMPLE_RATE: u32 = 768_000;
/// An MP3's header counts frames, and some encoders leave the last ones out.
const MP3_FRAMES_MISSING: u64 = 2 * 1152;

/// A part of a sound, as [`decode`] hands it out.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// 1 to 8.
    pub channels: u16,
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// Interleaved: one of each channel, again and again. Of finer samples the first 16 bits.
    pub samples: &'a [i16],
}

/// Decodes a whole WAV, FLAC, MP3 or Ogg Vorbis file and hands its samples to `each`, block after block, without the
/// silence that encoders add at the start and the end. No more than a block is ever held.
///
/// The length is counted, not read from a header. A file that breaks off, whose header declares another length, or with a
/// part that does not decode is damaged; only the first frames of an MP3 may be unreadable, since they may refer to
/// frames before the cut.
///
/// # Errors
///
/// [`CodecError::Unsupported`] for other codecs, of which [`measure`] tells the facts; those of `each`, and all others
/// but the ones of pictures.
pub fn decode(
    content: &[u8],
    format: Format,
    bounds: &Bounds,
    each: &mut dyn FnMut(Block<'_>) -> Result<(), CodecError>,
) -> Result<Track, CodecError> {
    let mut reader = Reader::open(content, format, bounds)?;
    let mut decoder = reader.decoder()?;
    let (mut frames, mut samples) = (0, Vec::new());
    let facts = reader.facts.clone();
    while let Some(packet) = reader.next(bounds)? {
        let decoded = match decoder.decode(&packet) {
            Ok(decoded) => decoded,
            Err(_) if format == Format::Mp3 && frames == 0 => continue,
            Err(error) => return Err(damaged(error)),
        };
        let spec = decoded.spec();
        if spec.rate() != facts.sample_rate
            || spec.channels().count() != usize::from(facts.channels)
        {
            return Err(CodecError::corrupt("the sound changes its kind midway"));
        }
        frames += decoded.frames() as u64;
        bounds.check_length(length(frames, facts.sample_rate))?;
        samples.clear();
        decoded.copy_to_vec_interleaved::<i16>(&mut samples);
        each(Block {
            channels: facts.channels,
            sample_rate: facts.sample_rate,
            samples: &samples,
        })?;
    }
    if decoder.finalize().verify_ok == Some(false) {
        return Err(CodecError::corrupt(
            "the samples do not match their checksum",
        ));
    }
    reader.finish(frames)
}

/// The facts of a sound file whose samples nothing here decodes, such as Opus: its packets are counted.
///
/// # Errors
///
/// As [`decode`], but never for the codec.
pub fn measure(content: &[u8], format: Format, bounds: &Bounds) -> Result<Track, CodecError> {
    let mut reader = Reader::open(content, format, bounds)?;
    let mut frames = 0_u64;
    while let Some(packet) = reader.next(bounds)? {
        frames = frames.saturating_add(packet.dur.get());
        bounds.check_length(length(frames, reader.facts.sample_rate))?;
    }
    reader.finish(frames)
}

/// Decodes a whole file of one or two channels into memory: two bytes for each sample, as many as
/// [`Bounds::max_length`] allows. `expected` is how many samples, of all channels, there will be: for those there is room
/// at once, since what grows holds everything twice while it moves.
///
/// # Errors
///
/// As [`decode`]; [`CodecError::Unsupported`] for more channels.
pub fn read(
    content: &[u8],
    format: Format,
    expected: usize,
    bounds: &Bounds,
) -> Result<Sound, CodecError> {
    let mut samples = Vec::with_capacity(expected);
    let track = decode(content, format, bounds, &mut |block| {
        if block.channels > 2 {
            let channels = block.channels;
            return Err(CodecError::Unsupported(format!(
                "{channels} channels are too many"
            )));
        }
        samples.extend_from_slice(block.samples);
        Ok(())
    })?;
    Ok(Sound {
        sample_rate: track.facts.sample_rate,
        channels: track.facts.channels,
        samples,
    })
}

/// The packets of a file's sound.
struct Reader<'a> {
    packets: Box<dyn FormatReader + 'a>,
    id: u32,
    parameters: AudioCodecParameters,
    facts: SoundFacts,
    /// Samples of each channel, by the header.
    declared: Option<u64>,
    /// Samples of each channel that are counted but not heard.
    skipped: u64,
    format: Format,
}

impl<'a> Reader<'a> {
    fn open(content: &'a [u8], format: Format, bounds: &Bounds) -> Result<Self, CodecError> {
        let packets = packets(content, format)?;
        let none = || CodecError::corrupt("there is no sound in it");
        let track = packets.default_track(TrackType::Audio).ok_or_else(none)?;
        let Some(CodecParameters::Audio(parameters)) = &track.codec_params else {
            return Err(none());
        };
        // Positions of Opus count what the decoder leaves out at the start (RFC 7845, section 4.3), and nothing here
        // leaves it out.
        let skipped = match parameters.codec {
            CODEC_ID_OPUS => u64::from(track.delay.unwrap_or(0)),
            _ => 0,
        };
        let facts = facts(parameters)?;
        // As early as possible; what is there is counted all the same.
        bounds.check_length(length(track.num_frames.unwrap_or(0), facts.sample_rate))?;
        Ok(Self {
            id: track.id,
            facts,
            parameters: parameters.clone(),
            declared: track.num_frames,
            skipped,
            packets,
            format,
        })
    }

    fn decoder(&self) -> Result<Box<dyn AudioDecoder>, CodecError> {
        let options = AudioDecoderOptions::default().verify(true);
        get_codecs()
            .make_audio_decoder(&self.parameters, &options)
            .map_err(|error| match error {
                Error::Unsupported(_) => CodecError::Unsupported(format!(
                    "nothing here decodes the codec {}",
                    self.facts.codec
                )),
                error => damaged(error),
            })
    }

    /// The next packet of the sound.
    fn next(&mut self, bounds: &Bounds) -> Result<Option<Packet>, CodecError> {
        loop {
            bounds.stop.check()?;
            match self.packets.next_packet().map_err(damaged)? {
                Some(packet) if packet.track_id != self.id => {}
                packet => return Ok(packet),
            }
        }
    }

    /// Compares what was found with what the header says.
    fn finish(self, frames: u64) -> Result<Track, CodecError> {
        if frames == 0 {
            return Err(CodecError::corrupt("there is not one sample in it"));
        }
        let tolerated = if self.format == Format::Mp3 {
            MP3_FRAMES_MISSING
        } else {
            0
        };
        match self.declared {
            Some(declared) if frames + tolerated < declared || frames > declared => {
                Err(CodecError::corrupt(format!(
                    "{declared} samples are declared, {frames} are there"
                )))
            }
            _ => Ok(Track {
                facts: self.facts,
                frames: frames.saturating_sub(self.skipped),
            }),
        }
    }
}

fn packets(content: &[u8], format: Format) -> Result<Box<dyn FormatReader + '_>, CodecError> {
    let options = FormatOptions::default();
    let reader: Result<Box<dyn FormatReader>, Error> = match format {
        Format::Wav => {
            let (head, samples) = riff::samples(content)?;
            WavReader::try_new(forward(Cursor::new(head).chain(samples)), options)
                .map(|reader| Box::new(reader) as _)
        }
        // Of a source that it can seek in, the reader would guess the length.
        Format::Mp3 => {
            let frames = content.get(id3_length(content)..).unwrap_or_default();
            MpaReader::try_new(forward(frames), options).map(|reader| Box::new(reader) as _)
        }
        Format::Flac => {
            FlacReader::try_new(seekable(content), options).map(|reader| Box::new(reader) as _)
        }
        Format::Ogg => {
            OggReader::try_new(seekable(content), options).map(|reader| Box::new(reader) as _)
        }
        other => return Err(CodecError::Unsupported(format!("{other} is no sound"))),
    };
    reader.map_err(damaged)
}

fn forward<'a>(source: impl Read + Send + Sync + 'a) -> MediaSourceStream<'a> {
    stream(ReadOnlySource::new(source))
}

fn seekable(content: &[u8]) -> MediaSourceStream<'_> {
    stream(Cursor::new(content))
}

fn stream<'a>(source: impl MediaSource + 'a) -> MediaSourceStream<'a> {
    MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default())
}

/// What the parameters of a codec say, if they make sense.
pub(crate) fn facts(parameters: &AudioCodecParameters) -> Result<SoundFacts, CodecError> {
    let channels = parameters.channels.as_ref().map_or(0, Channels::count);
    let channels = u16::try_from(channels).unwrap_or(u16::MAX);
    let sample_rate = parameters.sample_rate.unwrap_or(0);
    if !(1..=MAX_CHANNELS).contains(&channels) || !(1..=MAX_SAMPLE_RATE).contains(&sample_rate) {
        return Err(CodecError::corrupt(format!(
            "a sound of {channels} channels at {sample_rate} Hz"
        )));
    }
    let codec = codec_name(parameters.codec);
    Ok(SoundFacts {
        codec,
        channels,
        sample_rate,
    })
}

fn codec_name(id: AudioCodecId) -> String {
    let name = match id {
        CODEC_ID_OPUS => "opus",
        CODEC_ID_VORBIS => "vorbis",
        CODEC_ID_AAC => "aac",
        CODEC_ID_MP3 => "mp3",
        CODEC_ID_NULL_AUDIO => "unknown",
        id => match get_codecs().get_audio_decoder(id) {
            Some(decoder) => decoder.codec.info.short_name,
            None => "unknown",
        },
    };
    name.to_owned()
}

fn damaged(error: Error) -> CodecError {
    match error {
        Error::Unsupported(what) => CodecError::Unsupported(what.to_owned()),
        error => CodecError::Corrupt(error.to_string()),
    }
}
