//! FFmpeg on one thread, fed by a pipe with what our encoders get.

use std::fmt;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;

use codec::Format;

/// One way to encode.
pub(crate) struct Encode {
    input: Vec<String>,
    /// The encoder and its settings, near to ours in what they aim at.
    encoder: &'static str,
    /// How the file is put together.
    output: &'static str,
}

impl Encode {
    pub(crate) fn pictures(format: Format, size: (u32, u32)) -> Self {
        let (encoder, output) = match format {
            Format::Png => ("-c:v png -compression_level 1 -pred mixed", "-f image2pipe"),
            Format::Jpg => ("-c:v mjpeg -q:v 2 -pix_fmt yuvj444p", "-f image2pipe"),
            Format::Webp => (
                "-c:v libwebp -lossless 1 -compression_level 0 -pix_fmt bgra",
                "-f image2pipe",
            ),
            other => panic!("{other} is no picture"),
        };
        Self::of(raw_frames(size, 1), encoder, output)
    }

    pub(crate) fn video(format: Format, size: (u32, u32), rate: u32) -> Self {
        let (encoder, output) = match format {
            Format::Mp4 => (
                "-c:v libx264 -preset veryfast -pix_fmt yuv420p",
                "-f mp4 -movflags frag_keyframe+empty_moov",
            ),
            Format::Gif => (
                "-filter_complex split[a][b];[a]palettegen[p];[b][p]paletteuse",
                "-f gif",
            ),
            other => panic!("{other} is no video"),
        };
        Self::of(raw_frames(size, rate), encoder, output)
    }

    pub(crate) fn sound(format: Format, sample_rate: u32, channels: u16) -> Self {
        let input = format!("-f s16le -ar {sample_rate} -ac {channels} -i -");
        match format {
            Format::Wav => Self::of(input, "-c:a pcm_s16le", "-f wav"),
            Format::Flac => Self::of(input, "-c:a flac", "-f flac"),
            other => panic!("{other} is not written"),
        }
    }

    fn of(input: String, encoder: &'static str, output: &'static str) -> Self {
        let input = input.split(' ').map(str::to_owned).collect();
        Self {
            input,
            encoder,
            output,
        }
    }

    /// Encodes what the parts are together; returns the size of the file.
    pub(crate) fn run<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> usize {
        let mut child = Command::new("ffmpeg")
            .args([
                "-v",
                "error",
                "-filter_threads",
                "1",
                "-filter_complex_threads",
                "1",
            ])
            .args(["-threads", "1"])
            .args(&self.input)
            .args(self.encoder.split(' '))
            .args(["-threads", "1"])
            .args(self.output.split(' '))
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("ffmpeg is needed to compare with: {error}"));
        let mut stdout = child.stdout.take().unwrap();
        let reader = thread::spawn(move || {
            let mut file = Vec::new();
            stdout.read_to_end(&mut file).unwrap();
            file.len()
        });
        let mut stdin = child.stdin.take().unwrap();
        for part in parts {
            stdin.write_all(part).unwrap();
        }
        drop(stdin);
        let size = reader.join().unwrap();
        assert!(child.wait().unwrap().success(), "ffmpeg {self} failed");
        size
    }
}

impl fmt::Display for Encode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encoder)
    }
}

fn raw_frames((width, height): (u32, u32), rate: u32) -> String {
    format!("-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {rate} -i -")
}
