//! Whole videos, by the provider itself.

use serde_json::{Value, json};

use crate::{
    domain::MediaType,
    provider::{Content, ProgressSender, Provider, Submitted, builtin::Builtin},
};

use super::*;

fn task(input: Value) -> Task {
    let mut whole = json!({
        "provider": "builtin", "prompt": "Khai trương quán cà phê: giảm 50% cả tuần", "user_prompt": "",
        "seed": 7, "width": 128, "height": 96, "aspect_ratio": "4:3", "duration_seconds": 1, "frame_rate": 8
    });
    whole
        .as_object_mut()
        .unwrap()
        .extend(input.as_object().unwrap().clone());
    Task::unwatched(MediaType::Video, serde_json::from_value(whole).unwrap())
}

/// The video of the length that the task asks for.
fn make(task: &Task, shown: &Shown) -> Result<Output, ProviderError> {
    film(task, length(task)?, shown)
}

/// The file, whole.
fn file(output: &Output) -> &[u8] {
    match &output.files[0].content {
        Content::Memory(bytes) => bytes,
        Content::File { .. } => panic!("not in memory"),
    }
}

#[tokio::test]
async fn the_provider_makes_videos_and_tells_of_them() {
    let builtin = Builtin::default();
    assert!(builtin.makes(MediaType::Video));
    let Submitted::Done(output) = builtin.submit(&task(json!({}))).await.unwrap() else {
        panic!("not done");
    };
    assert_eq!(&file(&output)[4..8], b"ftyp");
    assert_eq!(output.files[0].seed, Some(7));
    assert_eq!(
        Value::Object(output.metadata),
        json!({ "model": "atelier-motion-1", "frames": 8, "fps": 8 })
    );
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let of = |seed: u32| {
        file(&make(&task(json!({ "seed": seed })), &Shown::default()).unwrap()).to_vec()
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}

#[test]
fn a_gif_has_fewer_frames_and_the_same_length() {
    let output = make(
        &task(json!({ "format": "gif", "frame_rate": 30 })),
        &Shown::default(),
    )
    .unwrap();
    assert_eq!(&file(&output)[..6], b"GIF89a");
    assert_eq!(output.metadata["frames"], 20);
}

#[test]
fn what_no_video_can_be_is_the_inputs_fault() {
    for (input, told) in [
        (json!({ "duration_seconds": 121 }), "1 to 120 seconds"),
        (json!({ "duration_seconds": 0 }), "1 to 120 seconds"),
        (json!({ "width": 4096, "height": 2160 }), "3840 x 2160"),
        (json!({ "width": 32 }), "width"),
        (json!({ "format": "webm" }), "webm"),
        (json!({ "format": "avi" }), "avi"),
        (json!({ "frame_rate": 0 }), "frames a second"),
        (
            json!({ "style": { "animation": { "pan": "up" } } }),
            "style.animation.pan",
        ),
    ] {
        match make(&task(input.clone()), &Shown::default()) {
            Err(ProviderError::InvalidInput(text)) => assert!(text.contains(told), "{text}"),
            other => panic!("{input}: {other:?}"),
        }
    }
}

#[test]
fn progress_rises_and_the_work_stops_when_told_to() {
    let mut task = task(json!({}));
    let (progress, seen) = ProgressSender::channel();
    task.progress = progress;
    make(&task, &Shown::default()).unwrap();
    assert_eq!(seen.borrow().message, "animating");
    assert!(seen.borrow().fraction > 0.8);

    task.cancelled.cancel();
    assert_eq!(
        make(&task, &Shown::default()).unwrap_err(),
        ProviderError::Stopped
    );
    assert!(seen.borrow().fraction < 0.2, "nothing more is drawn");
}

#[test]
fn those_who_wait_see_a_picture_of_the_video_from_the_first_frame_on() {
    let (progress, mut seen) = ProgressSender::channel();
    let task = Task {
        progress,
        ..task(json!({}))
    };
    make(&task, &Shown::default()).unwrap();
    let last = seen.borrow_and_update().clone();
    assert!(last.fraction > 0.7 && last.fraction < 0.9, "{last:?}");
    let preview = picture::decode(&last.preview.unwrap(), Format::Png, 1 << 20);
    assert!(preview.is_ok(), "{preview:?}");
}
