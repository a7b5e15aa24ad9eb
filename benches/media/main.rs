//! What making and reading media costs on one core, side by side with FFmpeg doing the same encode in the same run.
//!
//! `cargo bench --bench media` prints a table of medians. The two take turns, so that a busy machine slows both. Without
//! `--bench`, as under `cargo test`, everything is done once with small files, to see that it works.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on may panic"
)]

mod ffmpeg;
mod scene;
mod table;

use std::hint::black_box;
use std::time::Duration;

use atelier::domain::MediaType;
use atelier::media::preview::{blurhash, small_copy};
use atelier::media::{Limits, inspect};
use codec::sound::Sound;
use codec::{Format, picture, provenance, sound, video};
use image::{DynamicImage, RgbImage};
use studio::{drawing, music};
use tokio::runtime::{Builder, Runtime};

use ffmpeg::Encode;
use scene::Scale;
use table::{Median, Table, Unit};

const LIMITS: Limits = Limits {
    max_bytes: 1 << 30,
    max_pixels: 1 << 26,
    max_frames: 100_000,
    max_length: Duration::from_secs(3_600),
    max_duration: Duration::from_secs(600),
};

fn main() {
    let full = std::env::args().any(|argument| argument == "--bench");
    let scale = if full { Scale::FULL } else { Scale::SMALL };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut table = Table::new(&scale);
    let mut files = Vec::new();
    pictures(&scale, &mut table, &mut files);
    videos(&scale, &runtime, &mut table, &mut files);
    sounds(&scale, &mut table, &mut files);
    for (format, file) in &files {
        probe(&scale, &runtime, &mut table, *format, file);
    }
    table.print();
}

type Files = Vec<(Format, bytes::Bytes)>;

fn pictures(scale: &Scale, table: &mut Table, files: &mut Files) {
    let brief = scene::brief(scale.size);
    let draw = || drawing::draw(&brief, &mut |_| true).unwrap();
    let drawn = draw();
    let one = Unit::PerSecond("pictures", 1.0);
    table.ours("draw a picture", one, &scale.measure(|| draw().len()));

    for format in [Format::Png, Format::Jpg, Format::Webp] {
        let count = scale.pictures;
        let frames = vec![drawn.clone(); count];
        let encode = Encode::pictures(format, scale.size);
        let (ours, theirs) = scale.measure_both(
            || {
                let size = |frame: &RgbImage| picture::encode(frame, format).unwrap().len();
                frames.iter().map(size).sum()
            },
            || encode.run(frames.iter().map(|frame| frame.as_raw().as_slice())),
        );
        let unit = Unit::PerSecond("pictures", count as f64);
        table.both(&format!("encode {format}"), unit, &ours, &theirs, &encode);
        files.push((format, picture::encode(&drawn, format).unwrap()));
    }
    let shown = DynamicImage::ImageRgb8(drawn);
    let hash = || blurhash(&small_copy(black_box(&shown))).len();
    table.ours("BlurHash of a picture", one, &scale.measure(hash));
}

fn videos(scale: &Scale, runtime: &Runtime, table: &mut Table, files: &mut Files) {
    for (format, seconds, rate) in [
        (Format::Mp4, scale.video_seconds, 30),
        (Format::Gif, scale.gif_seconds, 10),
    ] {
        let frames = scene::panned(scale.size, seconds * rate);
        let encode = Encode::video(format, scale.size, rate);
        let write = || {
            let mut writer = video::writer(format, scale.size, rate).unwrap();
            for frame in &frames {
                writer.push(frame).unwrap();
            }
            writer.finish().unwrap()
        };
        let (ours, theirs) = scale.measure_both(
            || write().len(),
            || encode.run(frames.iter().map(|frame| frame.as_raw().as_slice())),
        );
        let unit = Unit::RealTime(f64::from(seconds));
        let name = format!("encode {format} ({rate}/s)");
        table.both(&name, unit, &ours, &theirs, &encode);
        files.push((format, write()));

        let task = scene::task(MediaType::Video, scale.size, seconds, rate, format);
        let made = || scene::submit(runtime, &task);
        let name = format!("animate and encode {format} ({rate}/s)");
        table.ours(&name, unit, &scale.measure(made));
    }
}

fn sounds(scale: &Scale, table: &mut Table, files: &mut Files) {
    let seconds = scale.sound_seconds;
    let unit = Unit::RealTime(f64::from(seconds));
    let brief = music::Brief {
        prompt: "calm rain".to_owned(),
        seed: 7,
        seconds,
        style: serde_json::Map::new(),
    };
    let play = || music::play(&brief, &mut |_| true).unwrap().sound;
    let played: Sound = play();
    table.ours(
        "compose and play music",
        unit,
        &scale.measure(|| play().samples.len()),
    );

    let samples: Vec<u8> = played
        .samples
        .iter()
        .flat_map(|it| it.to_le_bytes())
        .collect();
    for format in [Format::Wav, Format::Flac] {
        let encode = Encode::sound(format, played.sample_rate, played.channels);
        let (ours, theirs) = scale.measure_both(
            || sound::encode(&played, format).unwrap().len(),
            || encode.run([samples.as_slice()]),
        );
        table.both(&format!("encode {format}"), unit, &ours, &theirs, &encode);
        files.push((format, sound::encode(&played, format).unwrap()));
    }
}

fn probe(scale: &Scale, runtime: &Runtime, table: &mut Table, format: Format, file: &bytes::Bytes) {
    let megabytes = file.len() as f64 / 1e6;
    let look = || {
        let inspected = runtime.block_on(inspect(file.clone(), &LIMITS)).unwrap();
        inspected.blurhash.len()
    };
    let Median { seconds, .. } = scale.measure(look);
    table.note(
        &format!("probe {format} of {megabytes:.2} MB, with previews"),
        &format!(
            "{:.1} files/s, {:.1} MB/s",
            1.0 / seconds,
            megabytes / seconds
        ),
    );
    let recipe = format!("{{\"prompt\":{:?}}}", "x".repeat(1_000));
    let embed = || provenance::embed(file, format, &recipe).unwrap().len();
    let Median { seconds, .. } = scale.measure(embed);
    table.note(
        &format!("embed a recipe in {format}"),
        &format!("{:.0} MB/s", megabytes / seconds),
    );
}
