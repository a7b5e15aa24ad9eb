//! Short videos and sounds, for the scripted provider to deliver.

use std::path::PathBuf;

use atelier::rpc::proto::{CreateFeatureRequest, MediaType};
use codec::samples::ffmpeg;
use codec::sound::{self, Sound};
use codec::{Format, video};
use image::{Rgb, RgbImage};
use tempfile::TempDir;

use crate::support::client::scripted_feature;
use crate::support::script::Script;

/// A file in a folder that goes with it.
pub(crate) struct Recording {
    folder: TempDir,
    name: String,
}

impl Recording {
    /// Frames of a colour that moves from dark to bright.
    pub(crate) fn video(format: Format, size: (u32, u32), rate: u32, frames: u32) -> Self {
        let mut writer = video::writer(format, size, rate).unwrap();
        for index in 0..frames {
            let shade = 40 + (index * 160 / frames) as u8;
            let frame = RgbImage::from_fn(size.0, size.1, |x, _| {
                Rgb([shade, 90, if x < size.0 / 2 { 20 } else { 200 }])
            });
            writer.push(&frame).unwrap();
        }
        Self::of(&writer.finish().unwrap(), format)
    }

    /// A tone of half a second that gets louder.
    pub(crate) fn sound(format: Format) -> Self {
        let samples = (0..11_025_i32)
            .map(|at| (at % 50 * at / 25) as i16)
            .collect();
        let tone = Sound {
            sample_rate: 22_050,
            channels: 1,
            samples,
        };
        Self::of(&sound::encode(&tone, format).unwrap(), format)
    }

    /// A video whose pictures nothing in Atelier decodes.
    pub(crate) fn webm() -> Self {
        let bars = "-f lavfi -i testsrc=size=64x48:rate=10:duration=1";
        let content = ffmpeg(&format!("{bars} -c:v libvpx"), "webm");
        Self::of(&content, Format::Webm)
    }

    fn of(content: &[u8], format: Format) -> Self {
        let recording = Self {
            folder: tempfile::tempdir().unwrap(),
            name: format!("recording.{format}"),
        };
        std::fs::write(recording.path(), content).unwrap();
        recording
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// A provider's script that delivers it.
    pub(crate) fn script(&self) -> Script {
        Script::delivering(&self.path())
    }
}

/// A feature of a media type whose jobs the scripted provider runs.
pub(crate) fn scripted_feature_of(media_type: MediaType, name: &str) -> CreateFeatureRequest {
    CreateFeatureRequest {
        category: media_type.into(),
        ..scripted_feature(name)
    }
}
