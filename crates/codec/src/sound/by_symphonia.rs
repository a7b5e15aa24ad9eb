//! The packets of a file that a reader of Symphonia's takes apart.

use std::borrow::Cow;
use std::io::{Cursor, Read};

use symphonia::core::audio::Channels;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions, ReadOnlySource};

use crate::CodecError;

use super::SoundFacts;
use super::link::{Coding, Link, Packet, Packets, damaged};

/// The head of a file, made anew, and the bytes behind it.
pub(super) fn stream<'a>(head: Vec<u8>, rest: &'a [u8]) -> MediaSourceStream<'a> {
    let source = ReadOnlySource::new(Cursor::new(head).chain(rest));
    MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default())
}

/// The sound of a file, whose codec has this name.
pub(super) fn open<'a>(
    reader: Result<impl FormatReader + 'a, Error>,
    name: impl FnOnce(&AudioCodecParameters) -> String,
) -> Result<Link<'a>, CodecError> {
    let reader = reader.map_err(damaged)?;
    let none = || CodecError::corrupt("there is no sound in it");
    let track = reader.default_track(TrackType::Audio).ok_or_else(none)?;
    let Some(CodecParameters::Audio(parameters)) = &track.codec_params else {
        return Err(none());
    };
    let channels = parameters.channels.as_ref().map_or(0, Channels::count);
    let facts = SoundFacts {
        codec: name(parameters),
        channels: u16::try_from(channels).unwrap_or(u16::MAX),
        sample_rate: parameters.sample_rate.unwrap_or(0),
    };
    let (id, declared) = (track.id, track.num_frames);
    let coding = Coding::Known(parameters.clone());
    Ok(Link {
        declared,
        ..Link::new(facts, coding, Track { reader, id })
    })
}

struct Track<R> {
    reader: R,
    id: u32,
}

impl<R: FormatReader> Packets for Track<R> {
    fn next(&mut self) -> Result<Option<Packet<'_>>, CodecError> {
        loop {
            match self.reader.next_packet().map_err(damaged)? {
                Some(packet) if packet.track_id != self.id => {}
                packet => {
                    return Ok(packet.map(|packet| Packet {
                        frames: packet.dur.get(),
                        data: Cow::Owned(packet.data.into_vec()),
                    }));
                }
            }
        }
    }
}
