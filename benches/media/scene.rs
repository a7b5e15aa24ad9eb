//! What is made, and how often.

use std::time::Instant;

use atelier::domain::JobInput;
use atelier::domain::MediaType;
use atelier::provider::builtin::Builtin;
use atelier::provider::{Content, ProgressSender, Provider, Submitted, Task};
use codec::Format;
use image::{RgbImage, imageops::crop_imm};
use serde_json::json;
use studio::drawing;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::table::Median;

const WORDS: &str = "Khai trương quán cà phê: giảm 50% cả tuần";
/// How many pixels the view moves with each frame.
const STEP: u32 = 2;

/// Sizes and lengths, in pixels and seconds.
pub(crate) struct Scale {
    pub size: (u32, u32),
    /// Pictures that are encoded in a row.
    pub pictures: usize,
    pub video_seconds: u32,
    pub gif_seconds: u32,
    pub sound_seconds: u32,
    /// Runs of which the median counts.
    pub runs: usize,
}

impl Scale {
    pub(crate) const FULL: Self = Self {
        size: (1920, 1080),
        pictures: 8,
        video_seconds: 3,
        gif_seconds: 2,
        sound_seconds: 60,
        runs: 5,
    };

    pub(crate) const SMALL: Self = Self {
        size: (128, 96),
        pictures: 2,
        video_seconds: 1,
        gif_seconds: 1,
        sound_seconds: 1,
        runs: 1,
    };

    /// The median time of `work`, which returns the size of what it makes.
    pub(crate) fn measure(&self, mut work: impl FnMut() -> usize) -> Median {
        Median::of((0..self.runs).map(|_| timed(&mut work)).collect())
    }

    /// The same of two works that take turns.
    pub(crate) fn measure_both(
        &self,
        mut one: impl FnMut() -> usize,
        mut other: impl FnMut() -> usize,
    ) -> (Median, Median) {
        let runs = (0..self.runs).map(|_| (timed(&mut one), timed(&mut other)));
        let (ones, others) = runs.unzip();
        (Median::of(ones), Median::of(others))
    }
}

fn timed(work: &mut impl FnMut() -> usize) -> (f64, usize) {
    let start = Instant::now();
    let size = work();
    (start.elapsed().as_secs_f64(), size)
}

pub(crate) fn brief((width, height): (u32, u32)) -> drawing::Brief {
    drawing::Brief {
        prompt: WORDS.to_owned(),
        seed: 7,
        width,
        height,
        style: serde_json::Map::new(),
        picture: None,
    }
}

/// Frames of a view that moves over a picture.
pub(crate) fn panned((width, height): (u32, u32), frames: u32) -> Vec<RgbImage> {
    let whole = brief((width + STEP * frames, height));
    let whole = drawing::draw(&whole, &mut |_| true).unwrap();
    let view = |frame| crop_imm(&whole, frame * STEP, 0, width, height).to_image();
    (0..frames).map(view).collect()
}

pub(crate) fn task(
    kind: MediaType,
    size: (u32, u32),
    seconds: u32,
    rate: u32,
    format: Format,
) -> Task {
    let input: JobInput = serde_json::from_value(json!({
        "provider": "builtin", "prompt": WORDS, "user_prompt": WORDS, "seed": 7, "width": size.0, "height": size.1,
        "aspect_ratio": "16:9", "format": format.as_str(), "duration_seconds": seconds, "frame_rate": rate,
    }))
    .unwrap();
    Task {
        job_id: 1,
        attempt: 1,
        media_type: kind,
        input,
        pictures: Vec::new(),
        submission_key: String::new(),
        webhook_url: None,
        answer: None,
        progress: ProgressSender::channel().0,
        cancelled: CancellationToken::new(),
    }
}

/// Has the built-in provider do the task; returns the size of the file.
pub(crate) fn submit(runtime: &Runtime, task: &Task) -> usize {
    match runtime.block_on(Builtin::default().submit(task)).unwrap() {
        Submitted::Done(output) => match &output.files[0].content {
            Content::Memory(file) => file.len(),
            Content::File { .. } => panic!("the built-in provider works in memory"),
        },
        Submitted::Accepted { .. } => panic!("the built-in provider works at once"),
    }
}
