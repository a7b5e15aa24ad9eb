//! One file that came out: where it is, and its facts.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use url::Url;

use super::connection::OwnServer;
use super::preview;
use crate::cli::output;
use crate::domain::Place;
use crate::rpc::proto::{Media, MediaRole};

/// One file that came out.
#[derive(Debug)]
pub(super) struct MediaResult {
    pub media: Media,
    /// Where the file is on this machine, if it is.
    pub path: Option<PathBuf>,
    /// Its place among the results.
    pub place: Place,
    /// Address under which the file can be had when this process has ended.
    url: String,
}

impl MediaResult {
    /// `media` at its place among the results. Links to our `own` server die with it and are not used.
    pub(super) fn new(media: Media, place: Place, own: Option<&OwnServer>) -> Self {
        let path = own.and_then(|own| own.local_path(&media.media_url));
        Self {
            url: lasting_url(&media, path.as_deref(), own.is_some()),
            path,
            place,
            media,
        }
    }

    /// Appends the facts for people, one a line, and a preview if it can be seen.
    pub(super) fn write_text(&self, text: &mut String, with_preview: bool) {
        let Self { media, .. } = self;
        let size = output::human_size(media.file_size);
        let mut line = |label: &str, value: &str| {
            let _ = writeln!(text, "{label:<9} {value}");
        };
        if let Some(path) = &self.path {
            line("File", &shorten(path).display().to_string());
        }
        line("URL", &self.url);
        if media.width > 0 {
            line("Size", &format!("{}x{}, {size}", media.width, media.height));
        } else {
            line("Size", &size);
        }
        if let Some(length) = media.duration_ms {
            line("Duration", &duration(length, media.frame_rate));
        }
        line("Format", &media.format);
        if let Some(seed) = media.seed {
            line("Seed", &seed.to_string());
        }
        line("BlurHash", &media.blurhash);
        let is_further = media.role() == MediaRole::Format;
        let (width, height) = shape(media);
        let preview =
            (with_preview && !is_further).then(|| preview::draw(&media.blurhash, width, height));
        text.extend(preview.flatten());
    }

    /// The facts for programs.
    pub(super) fn to_json(&self) -> Value {
        let Self { media, .. } = self;
        json!({
            "media_id": media.id,
            "job_id": media.job_id,
            "role": media.role().as_str_name().trim_start_matches("MEDIA_ROLE_").to_lowercase(),
            "path": self.path.as_ref().map(|path| path.to_string_lossy()),
            "url": self.url,
            "media_url": media.media_url,
            "format": media.format,
            "width": pixels(media.width),
            "height": pixels(media.height),
            "duration_ms": media.duration_ms,
            "original_id": media.original_id,
            "file_size": media.file_size,
            "seed": media.seed,
            "sha256": media.sha256,
            "blurhash": media.blurhash,
            "tiny_preview": media.tiny_preview,
        })
    }
}

/// A side of a picture; sound has none.
fn pixels(side: i32) -> Option<i32> {
    (side > 0).then_some(side)
}

/// The sides of the picture that a preview shows; sound is shown as a wide waveform.
fn shape(media: &Media) -> (u32, u32) {
    const WAVEFORM: (u32, u32) = (4, 1);
    match (u32::try_from(media.width), u32::try_from(media.height)) {
        (Ok(width), Ok(height)) if width > 0 && height > 0 => (width, height),
        _ => WAVEFORM,
    }
}

fn duration(milliseconds: i64, frame_rate: f64) -> String {
    let seconds = format!("{}.{:03} s", milliseconds / 1_000, milliseconds % 1_000);
    // A slower one is a still that lasts.
    if frame_rate >= 0.01 {
        let rounded = (frame_rate * 100.0).round() / 100.0;
        format!("{seconds}, {rounded} frames a second")
    } else {
        seconds
    }
}

/// The signed link; for a server of our own, whose links die with it, the file, or where it stands in the bucket.
fn lasting_url(media: &Media, path: Option<&Path>, is_own: bool) -> String {
    let file = path.and_then(|path| Url::from_file_path(path).ok());
    match file {
        Some(file) => file.into(),
        None if is_own || media.download_url.is_empty() => media.media_url.clone(),
        None => media.download_url.clone(),
    }
}

/// The path as seen from the working directory, if it lies below.
fn shorten(path: &Path) -> &Path {
    let relative = std::env::current_dir()
        .ok()
        .and_then(|folder| path.strip_prefix(folder).ok());
    relative.unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_of_a_server_that_ends_with_us_is_not_shown() {
        let media = Media {
            media_url: "https://s3.example.com/pictures/a.png".into(),
            download_url: "https://s3.example.com/pictures/a.png?signature=1".into(),
            ..Media::default()
        };
        let file = lasting_url(&media, Some(Path::new("/data/a b.png")), true);
        assert_eq!(file, "file:///data/a%20b.png");
        assert_eq!(lasting_url(&media, None, true), media.media_url);
        assert_eq!(lasting_url(&media, None, false), media.download_url);
        let unsigned = Media {
            download_url: String::new(),
            ..media
        };
        assert_eq!(lasting_url(&unsigned, None, false), unsigned.media_url);
    }

    #[test]
    fn lengths_are_told_in_seconds_with_the_frames_of_a_video() {
        assert_eq!(duration(15_000, 0.0), "15.000 s");
        assert_eq!(duration(6_040, 12.5), "6.040 s, 12.5 frames a second");
        assert_eq!(duration(999, 30.000_001), "0.999 s, 30 frames a second");
    }
}
