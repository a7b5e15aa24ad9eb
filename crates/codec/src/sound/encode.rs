//! Samples to files: WAV and FLAC.

use std::{io::Cursor, ops::RangeInclusive};

use bytes::Bytes;
use flacenc::{
    bitsink::ByteSink,
    component::{BitRepr, Stream, StreamInfo},
    config::Encoder,
    encode_fixed_size_frame,
    error::Verify,
    source::{Context, Fill, FrameBuf},
};
use hound::{SampleFormat, WavSpec, WavWriter};

use crate::{CodecError, Format};

use super::Sound;

const BITS_PER_SAMPLE: u16 = 16;
/// Samples per second and channel that every reader of FLAC takes.
const SAMPLE_RATES: RangeInclusive<u32> = 1..=655_350;
/// A WAV file counts its bytes with 32 bits, its header included.
const MOST_WAV_SAMPLES: usize = (u32::MAX as usize - 1024) / 2;
/// Samples that go to the writer of WAV at once.
const WAV_PIECE: usize = 1 << 16;
/// Samples per channel that a FLAC frame holds, as in the format's subset for streaming (RFC 9639, section 7).
const FLAC_BLOCK: usize = 4096;
/// Bytes before the first FLAC frame: the marker and the stream info block (RFC 9639, sections 6 and 8.2).
const FLAC_HEADER: usize = 42;

/// The sound as a file: WAV with 16-bit PCM, or FLAC with the same samples.
///
/// # Errors
/// [`CodecError::Unsupported`] when the format is no written sound, when the sound has no whole number of frames, or
/// when the format has no place for its sample rate, channels or length.
pub fn encode(sound: &Sound, format: Format) -> Result<Bytes, CodecError> {
    let channels = usize::from(sound.channels);
    if !(1..=2).contains(&channels) || !sound.samples.len().is_multiple_of(channels) {
        return Err(CodecError::Unsupported(format!(
            "{} samples in {channels} channels are no mono or stereo sound",
            sound.samples.len()
        )));
    }
    if !SAMPLE_RATES.contains(&sound.sample_rate) {
        return Err(CodecError::Unsupported(format!(
            "no sound has {} samples per second",
            sound.sample_rate
        )));
    }
    match format {
        Format::Wav => wav(sound),
        Format::Flac => flac(sound),
        other => Err(CodecError::Unsupported(format!(
            "sound is not written as {other}"
        ))),
    }
}

fn wav(sound: &Sound) -> Result<Bytes, CodecError> {
    if sound.samples.len() > MOST_WAV_SAMPLES {
        return Err(refused("a WAV file cannot be longer than 4 GiB"));
    }
    let spec = WavSpec {
        channels: sound.channels,
        sample_rate: sound.sample_rate,
        bits_per_sample: BITS_PER_SAMPLE,
        sample_format: SampleFormat::Int,
    };
    let mut file = Cursor::new(Vec::with_capacity(sound.samples.len() * 2 + 64));
    let mut writer = WavWriter::new(&mut file, spec).map_err(refused)?;
    // The writer holds what it gets until the flush, so it gets a piece at a time.
    for piece in sound.samples.chunks(WAV_PIECE) {
        let mut samples = writer.get_i16_writer(piece.len() as u32);
        for sample in piece {
            samples.write_sample(*sample);
        }
        samples.flush().map_err(refused)?;
    }
    writer.finalize().map_err(refused)?;
    Ok(file.into_inner().into())
}

/// Frame after frame, so that only one of them is in memory as a tree; the stream info is written at last, since it
/// tells what the frames turned out to be.
fn flac(sound: &Sound) -> Result<Bytes, CodecError> {
    let channels = usize::from(sound.channels);
    let (rate, bits) = (sound.sample_rate as usize, usize::from(BITS_PER_SAMPLE));
    let config = Encoder::default()
        .into_verified()
        .map_err(|(_, error)| refused(error))?;
    let mut info = StreamInfo::new(rate, channels, bits).map_err(refused)?;
    let mut context = Context::new(bits, channels);
    let mut buffer = FrameBuf::with_size(channels, FLAC_BLOCK).map_err(refused)?;
    let mut block = Vec::with_capacity(FLAC_BLOCK * channels);
    let mut file = vec![0; FLAC_HEADER];
    for (number, samples) in sound.samples.chunks(FLAC_BLOCK * channels).enumerate() {
        block.clear();
        block.extend(samples.iter().copied().map(i32::from));
        context.fill_interleaved(&block).map_err(refused)?;
        buffer.fill_interleaved(&block).map_err(refused)?;
        let frame = encode_fixed_size_frame(&config, &buffer, number, &info).map_err(refused)?;
        info.update_frame_info(&frame);
        append(&mut file, &frame)?;
    }
    // The last frame may be shorter than what counts as the least (RFC 9639, section 8.2).
    info.set_block_sizes(FLAC_BLOCK, FLAC_BLOCK)
        .map_err(refused)?;
    info.set_md5_digest(&context.md5_digest());
    info.set_total_samples(context.total_samples());
    let mut header = Vec::new();
    append(&mut header, &Stream::with_stream_info(info))?;
    file[..FLAC_HEADER].copy_from_slice(&header);
    Ok(file.into())
}

fn append(file: &mut Vec<u8>, part: &impl BitRepr) -> Result<(), CodecError> {
    let mut sink = ByteSink::new();
    part.write(&mut sink).map_err(refused)?;
    file.extend_from_slice(sink.as_slice());
    Ok(())
}

fn refused(error: impl std::fmt::Display) -> CodecError {
    CodecError::Unsupported(error.to_string())
}

#[cfg(test)]
mod tests {
    use symphonia::core::{
        audio::GenericAudioBufferRef,
        codecs::audio::AudioDecoderOptions,
        formats::{FormatOptions, TrackType, probe::Hint},
        io::MediaSourceStream,
        meta::MetadataOptions,
    };

    use super::*;

    /// What symphonia reads: sample rate and interleaved samples. It holds FLAC's checksums, too.
    fn decoded(file: Bytes) -> (u32, Vec<i16>) {
        let source = MediaSourceStream::new(Box::new(Cursor::new(file)), Default::default());
        let mut reader = symphonia::default::get_probe()
            .probe(
                &Hint::new(),
                source,
                FormatOptions::default(),
                MetadataOptions::default(),
            )
            .unwrap();
        let track = reader.default_track(TrackType::Audio).unwrap();
        let parameters = track
            .codec_params
            .as_ref()
            .unwrap()
            .audio()
            .unwrap()
            .clone();
        let options = AudioDecoderOptions::default().verify(true);
        let mut decoder = symphonia::default::get_codecs()
            .make_audio_decoder(&parameters, &options)
            .unwrap();
        let mut samples = Vec::new();
        while let Some(packet) = reader.next_packet().unwrap() {
            let buffer: GenericAudioBufferRef<'_> = decoder.decode(&packet).unwrap();
            let mut part = vec![0_i16; buffer.samples_interleaved()];
            buffer.copy_to_slice_interleaved(&mut part);
            samples.extend(part);
        }
        assert_ne!(decoder.finalize().verify_ok, Some(false), "wrong checksum");
        (parameters.sample_rate.unwrap(), samples)
    }

    fn sound(sample_rate: u32, channels: u16, samples: Vec<i16>) -> Sound {
        Sound {
            sample_rate,
            channels,
            samples,
        }
    }

    /// A tone with noise under it: neither trivial nor impossible to compress.
    fn tone(count: usize) -> Vec<i16> {
        let mut noise = 1_u32;
        (0..count)
            .map(|index| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let wave = (index as f64 / 37.0).sin() * 20_000.0;
                wave as i16 + (noise >> 24) as i16
            })
            .collect()
    }

    #[test]
    fn every_sample_comes_back_from_both_formats() {
        for format in [Format::Wav, Format::Flac] {
            for (rate, channels) in [(44_100, 2), (8_000, 1), (48_000, 1), (22_050, 2)] {
                let sound = sound(rate, channels, tone(20_000));
                let (heard_rate, heard) = decoded(encode(&sound, format).unwrap());
                assert_eq!(heard_rate, rate);
                assert!(heard == sound.samples, "{format} {rate} {channels}");
            }
        }
    }

    #[test]
    fn sounds_of_any_length_come_back() {
        for frames in [1, 2, 3, 15, 31, 32, 33, 4_095, 4_096, 4_097, 8_192, 8_193] {
            for channels in [1_u16, 2] {
                let sound = sound(44_100, channels, tone(frames * usize::from(channels)));
                for format in [Format::Wav, Format::Flac] {
                    let (_, heard) = decoded(encode(&sound, format).unwrap());
                    assert!(heard == sound.samples, "{format} of {frames} x {channels}");
                }
            }
        }
    }

    #[test]
    fn the_loudest_and_the_most_silent_samples_come_back() {
        let square: Vec<i16> = (0..10_000)
            .map(|index| if index % 7 < 3 { i16::MIN } else { i16::MAX })
            .collect();
        let mut noise = 7_u64;
        let white: Vec<i16> = (0..10_000)
            .map(|_| {
                noise = noise
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (noise >> 48) as i16
            })
            .collect();
        for samples in [square, white, vec![0; 10_000], vec![i16::MIN; 10_000]] {
            let sound = sound(44_100, 2, samples);
            let (_, heard) = decoded(encode(&sound, Format::Flac).unwrap());
            assert!(heard == sound.samples, "{:?}", &sound.samples[..8]);
        }
    }

    #[test]
    fn flac_is_smaller_than_wav() {
        let sound = sound(44_100, 2, tone(40_000));
        let flac = encode(&sound, Format::Flac).unwrap();
        let wav = encode(&sound, Format::Wav).unwrap();
        assert!(
            flac.len() * 10 < wav.len() * 9,
            "{} of {}",
            flac.len(),
            wav.len()
        );
    }

    #[test]
    fn a_sound_without_samples_is_a_file_with_a_whole_header() {
        for format in [Format::Wav, Format::Flac] {
            let empty = encode(&sound(44_100, 2, Vec::new()), format).unwrap();
            assert!(empty.len() >= FLAC_HEADER, "{format}");
        }
    }

    #[test]
    fn what_has_no_place_in_a_file_is_refused() {
        let refused = |sound: Sound, format| {
            let error = encode(&sound, format).unwrap_err();
            assert!(matches!(error, CodecError::Unsupported(_)), "{error}");
        };
        refused(sound(44_100, 2, vec![0; 3]), Format::Wav);
        refused(sound(44_100, 0, vec![0; 3]), Format::Wav);
        refused(sound(44_100, 3, vec![0; 3]), Format::Flac);
        refused(sound(0, 1, vec![0; 3]), Format::Flac);
        refused(sound(u32::MAX, 1, vec![0; 3]), Format::Wav);
        refused(sound(44_100, 1, vec![0; 3]), Format::Mp3);
        refused(sound(44_100, 1, vec![0; 3]), Format::Png);
    }
}
