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
            let brief = brief(index as u64, (240, 180), style);
            let still = draw(&brief, &mut |_| true).unwrap();
            // Small, as resampled edges are a little softer.
            let small = |picture: &RgbImage| thumbnail(picture, 40, 30);
            let apart = apart(&small(animated(&brief).frame(SECONDS)), &small(&still));
            assert!(apart < 0.8, "{layout} with {motif} is {apart} away");
        }
    }
}

#[test]
fn the_first_frame_shows_the_words() {
    for entrance in ["rise", "fade", "pop", "slide"] {
        let animation = json!({ "entrance": entrance, "pan": "none", "drift": "none" });
        let style = json!({
            "layout": "billboard", "motif": "none", "mood": "light", "palette": "mono", "animation": animation
        });
        let mut animation = animated(&brief(3, (240, 320), style));
        let ink = |frame: &RgbImage| frame.pixels().filter(|pixel| pixel.0[1] < 150).count() as f32;
        let (first, last) = (
            ink(&animation.frame(0.0).clone()),
            ink(animation.frame(SECONDS)),
        );
        let share = first / last;
        assert!(
            (0.6..1.3).contains(&share),
            "{entrance}: {share} of the ink"
        );
        let strongest = |frame: &RgbImage| {
            let ground = i32::from(frame.get_pixel(2, 2).0[1]);
            let apart = frame.pixels().map(|it| (i32::from(it.0[1]) - ground).abs());
            apart.max().unwrap_or_default()
        };
        let (first, last) = (
            strongest(&animation.frame(0.0).clone()),
            strongest(animation.frame(SECONDS)),
        );
        assert!(
            first * 5 >= last * 4,
            "{entrance}: a faint cover, {first} of {last}"
        );
    }
}

#[test]
fn a_countdown_shows_another_number_each_second() {
    let style = |count: &str| {
        let animation = json!({ "count": count, "pan": "none", "drift": "none", "pace": "brisk" });
        json!({ "layout": "poster", "motif": "none", "emblem": "bag", "animation": animation })
    };
    let mut counting = animated(&brief(2, (240, 320), style("down")));
    let mut plain = animated(&brief(2, (240, 320), style("none")));
    let mut shown = Vec::new();
    // In the middle of the seconds that are left before the end begins.
    for time in [0.1, 1.1, 2.1] {
        let difference = apart(counting.frame(time), plain.frame(time));
        shown.push(difference);
    }
    assert!(shown[..2].iter().all(|it| *it > 0.5), "{shown:?}");
    let at_the_end = apart(counting.frame(3.9), plain.frame(3.9));
    assert!(at_the_end < 0.01, "{at_the_end}");
    let (two, one) = (counting.frame(0.9).clone(), counting.frame(1.9).clone());
    assert!(apart(&two, &one) > 0.2);
}

#[test]
fn it_moves_all_the_time_until_the_end() {
    for motif in ["waves", "confetti", "rays"] {
        let style = json!({ "layout": "poster", "motif": motif, "animation": { "pan": "in" } });
        let mut animation = animated(&brief(3, (120, 160), style));
        for step in 0..15 {
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
    let stopped = Animation::new(&brief(1, (240, 320), json!({})), SECONDS, &mut |_| {
        left -= 1;
        left > 0
    });
    assert_eq!(stopped.err(), Some(DrawError::Stopped));
}
