//! What a designer would look at, measured over all templates, in several sizes and with many seeds.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use image::RgbImage;
use image::imageops::thumbnail;

use super::specimens::{Specimen, specimens};
use super::*;
use crate::drawing::colour::Colour;

/// Posters, squares, banners, stories, and a strip.
const SIZES: [(u32, u32); 5] = [(540, 675), (540, 540), (720, 405), (432, 768), (800, 200)];
const SEEDS: u64 = 4;

/// One picture's measures.
struct Measured {
    /// Template, size, seed and words, to see it again.
    told: String,
    template: String,
    mood: Option<String>,
    size: (u32, u32),
    seed: u64,
    prompt: usize,
    /// The least contrast along a seal's rim.
    seal: Option<f32>,
    /// The boxes that lie over each other.
    overlaps: Vec<String>,
    /// The largest rectangle where nothing is, as a share of the canvas.
    blank: f32,
    /// The smallest type, as a share of the shorter side.
    smallest: f32,
    /// The share of light pixels.
    light: f32,
    thumbnail: RgbImage,
}

static SURVEY: LazyLock<Vec<Measured>> = LazyLock::new(|| {
    let specimens = specimens();
    let half = specimens.len() / 2;
    let measure = |specimens: &[Specimen]| -> Vec<Measured> {
        specimens.iter().flat_map(of_template).collect()
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| measure(&specimens[..half]));
        let mut all = measure(&specimens[half..]);
        all.extend(first.join().unwrap());
        all
    })
});

fn of_template(specimen: &Specimen) -> Vec<Measured> {
    let mut all = Vec::new();
    for (prompt, words) in specimen.prompts.iter().enumerate() {
        for size in SIZES {
            // Four variations of the first words, and others with the rest.
            for seed in if prompt == 0 { 1..1 + SEEDS } else { 5..6 } {
                let brief = specimen.brief(words, size, seed);
                all.push(measured(specimen, prompt, &brief));
            }
        }
    }
    all
}

fn measured(specimen: &Specimen, prompt: usize, brief: &Brief) -> Measured {
    let scene = compose(brief, 0).unwrap();
    let drawn = Drawn::of(&scene);
    let picture = draw(brief, &mut |_| true).unwrap();
    let (width, height) = (brief.width, brief.height);
    let template = &specimen.template;
    let sizes = scene.texts.iter().map(|run| run.size);
    Measured {
        told: format!(
            "{template} {width}x{height} seed {} {:?}",
            brief.seed, brief.prompt
        ),
        template: template.clone(),
        mood: specimen
            .style
            .get("mood")
            .and_then(Value::as_str)
            .map(str::to_owned),
        size: (width, height),
        seed: brief.seed,
        prompt,
        seal: drawn
            .seals
            .first()
            .map(|(seal, halo)| rim_contrast(&picture, *seal, *halo)),
        overlaps: overlaps(&drawn),
        blank: blank(&picture),
        smallest: sizes.fold(f32::MAX, f32::min) / width.min(height) as f32,
        light: light(&picture),
        thumbnail: thumbnail(&picture, 24, 24),
    }
}

fn at(picture: &RgbImage, (x, y): (f32, f32)) -> Colour {
    let inside = |at: f32, side: u32| (at.max(0.0) as u32).min(side - 1);
    let (x, y) = (inside(x, picture.width()), inside(y, picture.height()));
    let [red, green, blue] = picture.get_pixel(x, y).0;
    Colour(red, green, blue)
}

/// How well a seal is seen all around: the contrast of its ground with its halo or what lies behind, where that is least.
fn rim_contrast(picture: &RgbImage, seal: Area, has_halo: bool) -> f32 {
    let ((x, y), r) = (seal.centre(), seal.short() / 2.0);
    let around = |angle: f32, share: f32| {
        let (sin, cos) = angle.sin_cos();
        at(picture, (x + r * share * cos, y + r * share * sin))
    };
    let angles = (0..48).map(|step| std::f32::consts::TAU * step as f32 / 48.0);
    // Between the words and the ring, whether or not the area has a halo; a word's corner or a smoothed edge is not what most are.
    let ground = commonest(angles.clone().map(|angle| around(angle, 0.77)));
    // From where the ring inside does not count.
    let from = if has_halo { 0.82 } else { 0.92 };
    angles
        .map(|angle| {
            (0..12)
                .map(|out| around(angle, from + 0.02 * out as f32).contrast(ground))
                .fold(1.0, f32::max)
        })
        .fold(21.0, f32::min)
}

fn commonest(colours: impl Iterator<Item = Colour>) -> Colour {
    let mut counts: BTreeMap<[u8; 3], usize> = BTreeMap::new();
    for Colour(red, green, blue) in colours {
        *counts.entry([red, green, blue]).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    let [red, green, blue] = most.map(|(colour, _)| colour).unwrap_or_default();
    Colour(red, green, blue)
}

fn overlaps(drawn: &Drawn) -> Vec<String> {
    let mut found = Vec::new();
    for (index, disc) in drawn.discs.iter().enumerate() {
        let (x, y) = disc.centre();
        for other in &drawn.discs[index + 1..] {
            let (u, v) = other.centre();
            if (x - u).hypot(y - v) < (disc.short() + other.short()) / 2.0 {
                found.push("seal over emblem".to_owned());
            }
        }
        for text in &drawn.texts {
            if text.distance_to(x, y) < disc.short() / 2.0 {
                found.push("disc over text".to_owned());
            }
        }
    }
    found
}

/// Cells along a side in which something is looked for.
const CELLS: u32 = 40;

/// The largest rectangle of cells that show nothing but their ground.
fn blank(picture: &RgbImage) -> f32 {
    let (width, height) = picture.dimensions();
    let side = ((width * height) as f32).sqrt() / CELLS as f32;
    let (columns, rows) = (
        (width as f32 / side) as usize,
        (height as f32 / side) as usize,
    );
    let mut heights = vec![0_usize; columns];
    let mut most = 0;
    for row in 0..rows {
        for (column, height) in heights.iter_mut().enumerate() {
            *height = match is_bare(picture, (column as f32 * side, row as f32 * side), side) {
                true => *height + 1,
                false => 0,
            };
        }
        for left in 0..columns {
            let mut lowest = usize::MAX;
            for (right, height) in heights.iter().enumerate().skip(left) {
                lowest = lowest.min(*height);
                most = most.max(lowest * (right + 1 - left));
            }
        }
    }
    most as f32 / (columns * rows) as f32
}

fn is_bare(picture: &RgbImage, (left, top): (f32, f32), side: f32) -> bool {
    let (mut low, mut high) = ([255_u8; 3], [0_u8; 3]);
    for y in top as u32..((top + side) as u32).min(picture.height()) {
        for x in left as u32..((left + side) as u32).min(picture.width()) {
            for (channel, value) in picture.get_pixel(x, y).0.into_iter().enumerate() {
                low[channel] = low[channel].min(value);
                high[channel] = high[channel].max(value);
            }
        }
    }
    (0..3).all(|channel| high[channel].saturating_sub(low[channel]) < 22)
}

fn light(picture: &RgbImage) -> f32 {
    let is_light = |pixel: &image::Rgb<u8>| {
        let [red, green, blue] = pixel.0;
        Colour(red, green, blue).luminance() > 0.4
    };
    picture.pixels().filter(|pixel| is_light(pixel)).count() as f32 / picture.pixels().len() as f32
}

/// The mean difference of two pictures' channels.
fn apart(a: &RgbImage, b: &RgbImage) -> f32 {
    let pairs = a.iter().zip(b.iter());
    let sum: u32 = pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    sum as f32 / a.len() as f32
}

/// Holds that a measure is good in all pictures; tells how many and which are not.
fn hold(what: &str, is_good: impl Fn(&Measured) -> bool, told: impl Fn(&Measured) -> String) {
    let bad: Vec<&Measured> = SURVEY.iter().filter(|one| !is_good(one)).collect();
    let list: Vec<String> = bad
        .iter()
        .map(|one| format!("{} {}", told(one), one.told))
        .collect();
    assert!(
        bad.is_empty(),
        "{} of {} pictures: {what}\n{}",
        bad.len(),
        SURVEY.len(),
        list.join("\n")
    );
}

#[test]
fn a_seal_stands_out_from_what_lies_behind_it() {
    assert!(SURVEY.iter().filter(|one| one.seal.is_some()).count() > 100);
    hold(
        "a seal below 3:1",
        |one| one.seal.is_none_or(|contrast| contrast >= 3.0),
        |one| format!("{:.2}", one.seal.unwrap_or_default()),
    );
}

#[test]
fn seals_emblems_and_words_keep_off_each_other() {
    hold(
        "things that overlap",
        |one| one.overlaps.is_empty(),
        |one| one.overlaps.join(", "),
    );
}

#[test]
fn words_fill_the_room_that_they_have() {
    hold(
        "more than three tenths empty in one piece",
        |one| one.blank <= 0.3,
        |one| format!("{:.2}", one.blank),
    );
}

#[test]
fn no_type_is_too_small_to_read_on_a_phone() {
    hold(
        "type below 2.8 % of the shorter side",
        |one| one.smallest >= 0.028,
        |one| format!("{:.4}", one.smallest),
    );
}

#[test]
fn a_mood_is_kept_with_every_seed() {
    let is_kept = |one: &Measured| match one.mood.as_deref() {
        Some("dark") => one.light < 0.25,
        Some("light") => one.light > 0.4,
        _ => true,
    };
    hold("another mood", is_kept, |one| {
        format!("{:.2} of it light", one.light)
    });
}

#[test]
fn four_variations_are_four_ideas() {
    let mut sets: BTreeMap<(&str, (u32, u32)), Vec<&Measured>> = BTreeMap::new();
    for one in SURVEY.iter().filter(|one| one.prompt == 0) {
        sets.entry((&one.template, one.size)).or_default().push(one);
    }
    let mut twins = Vec::new();
    for set in sets.values().flat_map(|set| set.chunks(4)) {
        for (index, one) in set.iter().enumerate() {
            for other in &set[index + 1..] {
                let apart = apart(&one.thumbnail, &other.thumbnail);
                if apart < 12.0 {
                    twins.push(format!("{apart:.1} {} and {}", one.told, other.seed));
                }
            }
        }
    }
    assert!(
        twins.is_empty(),
        "{} twins\n{}",
        twins.len(),
        twins.join("\n")
    );
}

#[test]
fn a_canvas_too_small_for_its_words_shows_the_illustration_alone() {
    for seed in 0..12 {
        for prompt in [PROMPTS[0], "Sale", "Phở Thìn\n12 Lò Đúc"] {
            let scene = compose(&brief(prompt, (64, 64), seed, json!({})), 0).unwrap();
            let headline = prompt.split([':', '\n']).next().unwrap().to_lowercase();
            let shown: Vec<String> = scene
                .texts
                .iter()
                .map(|run| run.text.to_lowercase())
                .collect();
            let is_whole = shown.join(" ") == headline;
            assert!(shown.is_empty() || is_whole, "{shown:?} of {prompt:?}");
            let discs = Drawn::of(&scene).discs.len();
            assert!(is_whole || discs == 1, "nothing is shown of {prompt:?}");
        }
    }
}
