//! Real media for what a stand-in is asked for.

use std::{io::Cursor, time::Duration};

use bytes::Bytes;
use codec::{Bounds, Format, Stop, sound};
use image::{ImageFormat, imageops::FilterType};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::MediaType,
    provider::{
        Content, Output, ProgressSender, Provider, ProviderError, Submitted, Task,
        builtin::{Builtin, Length},
    },
};

/// What is to be made.
pub(super) struct Order<'a> {
    pub(super) media_type: MediaType,
    pub(super) prompt: &'a str,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) format: &'a str,
    pub(super) seed: u32,
}

/// Seconds of a sound.
const SOUND_SECONDS: u32 = 2;

/// Makes a picture or a sound.
pub(super) async fn make(order: &Order<'_>) -> Result<Bytes, ProviderError> {
    match Builtin::default().submit(&task(order)?).await? {
        Submitted::Done(output) => file(output),
        Submitted::Accepted { .. } => file(Output::default()),
    }
}

/// Makes a clip.
pub(super) async fn film(order: &Order<'_>, length: Length) -> Result<Bytes, ProviderError> {
    file(Builtin::default().film(&task(order)?, length).await?)
}

/// Samples of one channel without a header, 24,000 a second, as OpenAI speaks them.
pub(super) fn samples(wav: &[u8]) -> Result<Bytes, ProviderError> {
    let bounds = Bounds {
        max_pixels: 0,
        max_frames: 0,
        max_length: Duration::from_secs(SOUND_SECONDS.into()) * 2,
        stop: Stop::default(),
    };
    Ok(sound::raw(wav, Format::Wav, 24_000, &bounds)?)
}

fn task(order: &Order<'_>) -> Result<Task, ProviderError> {
    let input = json!({
        "provider": "builtin", "prompt": order.prompt, "user_prompt": order.prompt, "seed": order.seed,
        "width": order.width, "height": order.height, "aspect_ratio": "", "format": order.format,
        "duration_seconds": SOUND_SECONDS,
    });
    let failed = |error: serde_json::Error| ProviderError::Failed(error.to_string());
    Ok(Task {
        job_id: 0,
        attempt: 1,
        media_type: order.media_type,
        input: serde_json::from_value(input).map_err(failed)?,
        submission_key: String::new(),
        pictures: Vec::new(),
        webhook_url: None,
        answer: None,
        progress: ProgressSender::channel().0,
        cancelled: CancellationToken::new(),
    })
}

fn file(made: Output) -> Result<Bytes, ProviderError> {
    match made.files.into_iter().next().map(|file| file.content) {
        Some(Content::Memory(bytes)) => Ok(bytes),
        _ => Err(ProviderError::Failed("nothing was made".to_owned())),
    }
}

/// A picture that is made from another.
pub(super) struct Edit<'a> {
    /// What was asked for.
    pub(super) drawn: &'a [u8],
    pub(super) made_from: &'a [u8],
    /// Where anew: what is transparent, or what is white where nothing is.
    pub(super) mask: Option<&'a [u8]>,
}

/// What was asked for, half over what it is made from; only where the mask says so, if there is one. `None` if one of them is
/// no picture.
pub(super) fn edit(edit: Edit<'_>) -> Option<Bytes> {
    let read = |bytes: &[u8]| image::load_from_memory(bytes).ok();
    let mut drawn = read(edit.drawn)?.to_rgb8();
    let (width, height) = drawn.dimensions();
    let fitting = |bytes| Some(read(bytes)?.resize_exact(width, height, FilterType::Triangle));
    let made_from = fitting(edit.made_from)?.to_rgb8();
    let mask = match edit.mask {
        Some(mask) => Some(fitting(mask)?.to_rgba8()),
        None => None,
    };
    let by_alpha = mask
        .as_ref()
        .is_some_and(|mask| mask.pixels().any(|it| it.0[3] < 255));
    for (x, y, pixel) in drawn.enumerate_pixels_mut() {
        let share = match &mask {
            None => 0.5,
            Some(mask) if by_alpha => f32::from(255 - mask[(x, y)].0[3]) / 255.0,
            Some(mask) => f32::from(mask[(x, y)].0[0]) / 255.0,
        };
        for (new, old) in pixel.0.iter_mut().zip(made_from[(x, y)].0) {
            *new = (f32::from(*new) * share + f32::from(old) * (1.0 - share)) as u8;
        }
    }
    let mut file = Cursor::new(Vec::new());
    drawn.write_to(&mut file, ImageFormat::Png).ok()?;
    Some(file.into_inner().into())
}
