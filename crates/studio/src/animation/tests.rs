//! Tests of whole animations.

use image::imageops::thumbnail;
use serde_json::{Value, json};

use super::*;
use crate::drawing::draw;

const SECONDS: f32 = 4.0;

fn brief(seed: u64, size: (u32, u32), style: Value) -> Brief {
    Brief {
        prompt: "Đêm nhạc acoustic: vé từ 150k\n20h00, thứ bảy 22/11".to_owned(),
        seed,
        width: size.0,
        height: size.1,
        style: style.as_object().unwrap().clone(),
        picture: None,
    }
}

fn animated(brief: &Brief) -> Animation {
    Animation::new(brief, SECONDS, &mut |_| true).unwrap()
}

/// The mean difference of two pictures' channels.
fn apart(a: &RgbImage, b: &RgbImage) -> f64 {
    let sum: u64 = a
        .iter()
        .zip(b.iter())
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len() as f64
}

#[test]
fn every_layout_ends_as_the_picture_itself() {
    let layouts = [
        "poster",
        "banner",
        "split",
        "announcement",
        "centered",
        "quote",
        "billboard",
    ];
    for (index, layout) in layouts.into_iter().enumerate() {
        for motif in ["waves", "rays", "leaves", "grid"] {
            let animation = json!({ "pan": "none" });
            let style = json!({ "layout": layout, "motif": motif, "animation": animation });
            let brief = brief(index as u64, (160, 120), style);
            let still = draw(&brief, &mut |_| true).unwrap();
            // Small, as resampled edges are a little softer.
            let small = |picture: &RgbImage| thumbnail(picture, 40, 30);
            let apart = apart(&small(animated(&brief).frame(SECONDS)), &small(&still));
            assert!(apart < 0.8, "{layout} with {motif} is {apart} away");
        }
    }
}

#[test]
fn it_begins_with_the_art_and_without_the_words() {
    let style = json!({ "layout": "poster", "motif": "grid", "mood": "light", "animation": { "entrance": "pop" } });
    let mut animation = animated(&brief(3, (120, 160), style));
    let first = animation.frame(0.0).clone();
    let last = animation.frame(SECONDS).clone();
    assert!(apart(&first, &last) > 4.0);
    let (low, high) = first.iter().fold((255, 0), |(low, high), value| {
        (low.min(*value), high.max(*value))
    });
    assert!(high - low > 80, "the first frame shows nothing");
}

#[test]
fn it_moves_all_the_time_until_the_hold() {
    for motif in ["waves", "confetti", "rays"] {
        let style = json!({ "layout": "poster", "motif": motif, "animation": { "pan": "in" } });
        let mut animation = animated(&brief(3, (120, 160), style));
        for step in 0..12 {
            let time = step as f32 * 0.25;
            let before = animation.frame(time).clone();
            assert_ne!(before, *animation.frame(time + 0.25), "{motif} at {time}");
        }
    }
}

#[test]
fn the_same_brief_gives_the_same_frames_and_another_seed_others() {
    let of = |seed: u64| {
        let brief = brief(
            seed,
            (80, 64),
            json!({ "motif": "confetti", "layout": "poster" }),
        );
        animated(&brief).frame(1.3).clone()
    };
    assert_eq!(of(4), of(4));
    assert_ne!(of(4), of(5));
}

#[test]
fn a_picture_without_words_moves_too() {
    for motif in ["blobs", "confetti", "none"] {
        let mut brief = brief(1, (64, 64), json!({ "motif": motif, "emblem": "star" }));
        brief.prompt = String::new();
        let mut animation = animated(&brief);
        let first = animation.frame(0.0).clone();
        assert_ne!(first, *animation.frame(1.0), "{motif}");
    }
}

#[test]
fn the_drawing_of_layers_stops_when_told_to() {
    let mut left = 3;
    let stopped = Animation::new(&brief(1, (64, 64), json!({})), SECONDS, &mut |_| {
        left -= 1;
        left > 0
    });
    assert_eq!(stopped.err(), Some(DrawError::Stopped));
}
