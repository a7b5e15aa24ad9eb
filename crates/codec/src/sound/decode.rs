//! Reading of sound files: the packets by readers of our own or Symphonia's, the decoding by Symphonia's decoders and one of
//! Opus.

use crate::Format;
use crate::{Bounds, CodecError};

use super::link::Link;
use super::{Sound, SoundFacts, Track, flac, length, mpeg, ogg, riff, webm};

/// More is no sound for people, and each costs memory.
pub(crate) const MAX_CHANNELS: u16 = 8;
/// Twice the highest rate in use.
const MAX_SAMPLE_RATE: u32 = 768_000;
/// Sounds that follow one another in a file; more were made to have so many.
const MAX_LINKS: usize = 10_000;

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

/// Decodes a whole file of sound and hands its samples to `each`, block after block, without the silence that encoders add at
/// the start and the end. No more than a block is ever held.
///
/// The length is counted, not read from a header. A file that breaks off, whose header declares another length, or with a
/// part that does not decode is damaged; only the first frames of an MP3 may be unreadable, since they may refer to
/// frames before the cut. Of an MP3 or Ogg file in which several sounds follow one another, all are heard.
///
/// # Errors
///
/// [`CodecError::Unsupported`] for other codecs, of which [`measure`] tells the facts; [`CodecError::Refused`] for sounds of
/// different kinds in one file; those of `each`, and all others but the ones of pictures.
pub fn decode(
    content: &[u8],
    format: Format,
    bounds: &Bounds,
    each: &mut dyn FnMut(Block<'_>) -> Result<(), CodecError>,
) -> Result<Track, CodecError> {
    walk(content, format, bounds, &mut |link, before| {
        decode_link(link, before, bounds, each)
    })
}

/// The facts of a sound file whose samples nothing here decodes: its packets are counted.
///
/// # Errors
///
/// As [`decode`], but never for the codec.
pub fn measure(content: &[u8], format: Format, bounds: &Bounds) -> Result<Track, CodecError> {
    walk(content, format, bounds, &mut |mut link, before| {
        let rate = link.facts.sample_rate;
        link.measure(|found| {
            bounds.stop.check()?;
            bounds.check_length(length(before.saturating_add(found), rate))
        })
    })
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

/// Opens the sounds of a file one after the other; `each` tells how many samples are heard of one, and gets how many were
/// heard before.
fn walk(
    content: &[u8],
    format: Format,
    bounds: &Bounds,
    each: &mut dyn FnMut(Link<'_>, u64) -> Result<u64, CodecError>,
) -> Result<Track, CodecError> {
    let (mut facts, mut frames) = (None::<SoundFacts>, 0_u64);
    let mut listen = |link: Link<'_>| {
        check(&link.facts)?;
        let known = facts.get_or_insert_with(|| link.facts.clone());
        if *known != link.facts {
            return Err(CodecError::Refused(
                "sounds of different kinds follow one another in it (chained)",
            ));
        }
        // As early as possible; what is there is counted all the same.
        let declared = frames.saturating_add(link.declared.unwrap_or(0));
        bounds.check_length(length(declared, known.sample_rate))?;
        frames = frames.saturating_add(each(link, frames)?);
        bounds.check_length(length(frames, known.sample_rate))
    };
    match format {
        Format::Wav => listen(riff::open(content)?)?,
        Format::Flac => listen(flac::open(content)?)?,
        Format::Weba => listen(webm::open(content, bounds)?)?,
        Format::M4a => listen(crate::video::sound(content, bounds)?)?,
        Format::Mp3 => {
            for part in limited(mpeg::parts(content)?)? {
                listen(mpeg::open(part)?)?;
            }
        }
        Format::Ogg => {
            for part in limited(ogg::parts(content)?)? {
                listen(ogg::open(part)?)?;
            }
        }
        other => return Err(CodecError::Unsupported(format!("{other} is no sound"))),
    }
    match facts {
        Some(facts) if frames > 0 => Ok(Track { facts, frames }),
        _ => Err(CodecError::corrupt("there is not one sample in it")),
    }
}

fn limited<T>(parts: Vec<T>) -> Result<Vec<T>, CodecError> {
    match parts.len() > MAX_LINKS {
        true => Err(CodecError::corrupt("it is made of too many sounds")),
        false => Ok(parts),
    }
}

fn decode_link(
    mut link: Link<'_>,
    before: u64,
    bounds: &Bounds,
    each: &mut dyn FnMut(Block<'_>) -> Result<(), CodecError>,
) -> Result<u64, CodecError> {
    let mut decoder = link.decoder()?;
    let facts = link.facts.clone();
    let channels = usize::from(facts.channels);
    let end = match link.declared.filter(|_| link.is_padded) {
        Some(declared) => declared.saturating_add(link.skipped),
        None => u64::MAX,
    };
    let (mut found, mut samples) = (0_u64, Vec::new());
    while let Some(packet) = link.packets.next()? {
        bounds.stop.check()?;
        match decoder.decode(&packet.data, &facts, &mut samples) {
            Err(CodecError::Corrupt(_)) if link.is_cut && found == 0 => continue,
            decoded => decoded?,
        }
        let frames = (samples.len() / channels) as u64;
        // What of the packet is heard.
        let from = link.skipped.saturating_sub(found).min(frames);
        let to = end.saturating_sub(found).min(frames);
        found += frames;
        let heard = found.min(end).saturating_sub(link.skipped);
        bounds.check_length(length(before.saturating_add(heard), facts.sample_rate))?;
        if from < to {
            each(Block {
                channels: facts.channels,
                sample_rate: facts.sample_rate,
                samples: &samples[from as usize * channels..to as usize * channels],
            })?;
        }
    }
    decoder.finish()?;
    link.heard(found)
}

/// Refuses facts that make no sense.
pub(crate) fn check(facts: &SoundFacts) -> Result<(), CodecError> {
    let SoundFacts {
        channels,
        sample_rate,
        ..
    } = facts;
    match (1..=MAX_CHANNELS).contains(channels) && (1..=MAX_SAMPLE_RATE).contains(sample_rate) {
        true => Ok(()),
        false => Err(CodecError::corrupt(format!(
            "a sound of {channels} channels at {sample_rate} Hz"
        ))),
    }
}
