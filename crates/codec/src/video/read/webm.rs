//! WebM: only the facts, by Symphonia's reader of Matroska.

use std::io::Cursor;
use std::time::Duration;

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::video::VideoCodecId;
use symphonia::core::codecs::video::well_known::{CODEC_ID_AV1, CODEC_ID_VP8, CODEC_ID_VP9};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::units::Timestamp;
use symphonia::default::formats::MkvReader;

use crate::{Bounds, CodecError, sound};

use super::{Facts, rate};

/// How much of the declared length may be missing: less than a file loses that breaks off.
const MISSING: Duration = Duration::from_secs(1);

pub(super) fn facts(content: &[u8], bounds: &Bounds) -> Result<Facts, CodecError> {
    let options = MediaSourceStreamOptions::default();
    let stream = MediaSourceStream::new(Box::new(Cursor::new(content)), options);
    let mut reader = MkvReader::try_new(stream, FormatOptions::default()).map_err(damaged)?;
    let none = || CodecError::corrupt("there is no video in it");
    let video = reader
        .default_track(TrackType::Video)
        .ok_or_else(none)?
        .clone();
    let sound = reader.default_track(TrackType::Audio).cloned();
    let Some(CodecParameters::Video(parameters)) = &video.codec_params else {
        return Err(none());
    };
    let size = (
        parameters.width.unwrap_or(0).into(),
        parameters.height.unwrap_or(0).into(),
    );
    let declared = reader.media_info();
    let declared = declared.time_base.zip(declared.duration);
    let declared =
        declared.map(|(base, length)| base.calc_duration_saturating(length).as_secs_f64());
    let codec = codec_name(parameters.codec).to_owned();
    let sound_facts = match sound.as_ref().map(|track| &track.codec_params) {
        Some(Some(CodecParameters::Audio(parameters))) => Some(sound::facts(parameters)?),
        _ => None,
    };
    let mut pictures = Times::of(&video);
    let mut samples = sound.as_ref().map(Times::of);
    while let Some(packet) = reader.next_packet().map_err(damaged)? {
        bounds.stop.check()?;
        let end = packet.pts.saturating_add(packet.dur);
        if packet.track_id == video.id {
            pictures.add(packet.pts, end);
            bounds.check_frames(pictures.count)?;
        } else if let Some(samples) = &mut samples
            && packet.track_id == samples.id
        {
            samples.add(packet.pts, end);
        }
    }
    bounds.check_frames(pictures.count)?;
    let own = pictures.length();
    let duration = own.max(samples.map_or(Duration::ZERO, |samples| samples.length()));
    if declared.is_some_and(|declared| declared > duration.saturating_add(MISSING).as_secs_f64()) {
        return Err(CodecError::corrupt("the end of the file is missing"));
    }
    Ok(Facts {
        size,
        duration,
        frames: pictures.count,
        frame_rate: rate(pictures.count, own),
        codec,
        sound: sound_facts,
    })
}

/// The time that the packets of a track take.
struct Times {
    id: u32,
    track: Track,
    count: u64,
    first: Option<Timestamp>,
    /// The start of the last packet and the end of the one that ends last.
    last: Timestamp,
    end: Timestamp,
}

impl Times {
    fn of(track: &Track) -> Self {
        Self {
            id: track.id,
            track: track.clone(),
            count: 0,
            first: None,
            last: Timestamp::ZERO,
            end: Timestamp::ZERO,
        }
    }

    fn add(&mut self, start: Timestamp, end: Timestamp) {
        self.first = Some(self.first.map_or(start, |first| first.min(start)));
        self.last = self.last.max(start);
        self.end = self.end.max(end);
        self.count += 1;
    }

    /// From the first packet to the end of the last. Where the file does not say how long that one lasts, it gets the
    /// average of those before.
    fn length(&self) -> Duration {
        let (Some(first), Some(base)) = (self.first, self.track.time_base) else {
            return Duration::ZERO;
        };
        let span = |end: Timestamp| {
            let ticks = end.duration_from(first).unwrap_or_default();
            let seconds = base.calc_duration_saturating(ticks).as_secs_f64();
            Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
        };
        let steps = u32::try_from(self.count.saturating_sub(1)).unwrap_or(u32::MAX);
        match self.end > self.last || steps == 0 {
            true => span(self.end),
            false => span(self.last).saturating_add(span(self.last) / steps),
        }
    }
}

fn codec_name(id: VideoCodecId) -> &'static str {
    match id {
        CODEC_ID_VP8 => "vp8",
        CODEC_ID_VP9 => "vp9",
        CODEC_ID_AV1 => "av1",
        _ => "unknown",
    }
}

fn damaged(error: Error) -> CodecError {
    CodecError::Corrupt(error.to_string())
}
