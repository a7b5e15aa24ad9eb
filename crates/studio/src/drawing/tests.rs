//! Tests of whole pictures.

#[path = "../../examples/contact_sheet/specimens.rs"]
mod specimens;
mod survey;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::colour::READABLE;
use super::font::{Face, covers};
use super::geometry::Area;
use super::palette::{Ground, Mood, PALETTES, Palette};
use super::scene::Scene;
use super::style::{Font, Layout, Motif};
use super::*;

const PROMPTS: [&str; 12] = [
    "Khai trương quán cà phê: giảm 50% cả tuần",
    "ĐẠI NHẠC HỘI ẤM ÁP ƯỚC NGUYỆN",
    "Đêm nhạc acoustic\nVé từ 150k\n20h00, thứ bảy 22/11 tại sân vườn",
    "Flash sale $5",
    "A",
    "“Có công mài sắt, có ngày nên kim” — Tục ngữ Việt Nam",
    "Nghiêngnghiêngnghiêngnghiêngnghiêngnghiêngnghiêngnghiêng https://example.com/a/very/long/path?with=query&and=more",
    "<b>&amp; \"x\" ]]> Tom & Jerry's: -10%",
    "Mua 1 tặng 1! Chỉ hôm nay! Từ 8h đến 22h, áp dụng cho tất cả các cửa hàng trên toàn quốc",
    "🎉🎊",
    "你好世界 مرحبا",
    "",
];

const SIZES: [(u32, u32); 8] = [
    (1080, 1350),
    (1080, 1080),
    (1600, 900),
    (1080, 1920),
    (1024, 256),
    (256, 1024),
    (64, 64),
    (640, 160),
];

fn brief(prompt: &str, (width, height): (u32, u32), seed: u64, style: Value) -> Brief {
    Brief {
        prompt: prompt.to_owned(),
        seed,
        width,
        height,
        style: style.as_object().unwrap().clone(),
        picture: None,
    }
}

fn pixels(brief: &Brief) -> Vec<u8> {
    draw(brief, &mut |_| true).unwrap().into_raw()
}

/// What the renderer lays out: every text's ink, and the seals and medallions.
#[derive(Default)]
struct Drawn {
    texts: Vec<Area>,
    /// Text on a seal, which may lie over art.
    on_seal: Vec<Area>,
    discs: Vec<Area>,
    /// Those of the discs that carry an offer, and whether they have a halo.
    seals: Vec<(Area, bool)>,
}

fn area(rect: resvg::usvg::Rect) -> Area {
    Area {
        x: rect.x(),
        y: rect.y(),
        w: rect.width(),
        h: rect.height(),
    }
}

impl Drawn {
    fn of(scene: &Scene) -> Self {
        let mut drawn = Self::default();
        drawn.collect(font::parse(&scene.svg()).unwrap().root(), false);
        drawn
    }

    fn collect(&mut self, group: &resvg::usvg::Group, sealed: bool) {
        for node in group.children() {
            match node {
                resvg::usvg::Node::Group(inner) => {
                    let disc = ["seal", "medallion"].contains(&inner.id());
                    if disc {
                        self.discs.push(area(inner.abs_bounding_box()));
                    }
                    if inner.id() == "seal" {
                        let is_shape =
                            |node: &&resvg::usvg::Node| matches!(node, resvg::usvg::Node::Path(_));
                        let shapes = inner.children().iter().filter(is_shape).count();
                        // Beside its ground and the ring in it.
                        let bounds = area(inner.abs_bounding_box());
                        self.seals.push((bounds, shapes > 2));
                    }
                    self.collect(inner, sealed || disc);
                }
                resvg::usvg::Node::Text(text) => {
                    let texts = if sealed {
                        &mut self.on_seal
                    } else {
                        &mut self.texts
                    };
                    texts.push(area(text.abs_stroke_bounding_box()));
                }
                _ => {}
            }
        }
    }
}

fn overlap(a: Area, b: Area) -> bool {
    a.x + 0.5 < b.right()
        && b.x + 0.5 < a.right()
        && a.y + 0.5 < b.bottom()
        && b.y + 0.5 < a.bottom()
}

fn inside(canvas: Area, text: Area) -> bool {
    text.x >= -0.5
        && text.y >= -0.5
        && text.right() <= canvas.w + 0.5
        && text.bottom() <= canvas.h + 0.5
}

/// Holds that all text is on the canvas, apart, readable and off the discs; gives how many discs there are.
fn hold_texts(brief: &Brief) -> usize {
    let scene = compose(brief, 0).unwrap();
    let drawn = Drawn::of(&scene);
    let told = format!(
        "{:?} in {brief:?}",
        scene.texts.iter().map(|run| &run.text).collect::<Vec<_>>()
    );
    assert_eq!(
        drawn.texts.len() + drawn.on_seal.len(),
        scene.texts.len(),
        "a text shows nothing: {told}"
    );
    let all: Vec<Area> = drawn.texts.iter().chain(&drawn.on_seal).copied().collect();
    for (index, text) in all.iter().enumerate() {
        assert!(
            inside(scene.canvas, *text),
            "{text:?} leaves the canvas: {told}"
        );
        for other in &all[index + 1..] {
            assert!(
                !overlap(*text, *other),
                "{text:?} overlaps {other:?}: {told}"
            );
        }
    }
    for text in &drawn.texts {
        for disc in &drawn.discs {
            let (x, y) = disc.centre();
            assert!(
                text.distance_to(x, y) > disc.short() * 0.49,
                "{text:?} lies on {disc:?}: {told}"
            );
        }
    }
    for run in &scene.texts {
        let contrast = run.colour.least_contrast(&run.behind);
        assert!(
            contrast >= READABLE,
            "{:?} has contrast {contrast}: {told}",
            run.text
        );
    }
    drawn.discs.len()
}

#[test]
fn the_same_brief_gives_the_same_pixels() {
    let brief = brief(PROMPTS[0], (270, 338), 7, json!({}));
    assert_eq!(pixels(&brief), pixels(&brief));
}

#[test]
fn another_seed_gives_another_picture_with_the_same_words() {
    let of = |seed| brief(PROMPTS[0], (270, 338), seed, json!({ "layout": "poster" }));
    let mut seen: Vec<Vec<u8>> = (1..=6).map(|seed| pixels(&of(seed))).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6);
    let words = |seed| {
        let mut words: Vec<String> = compose(&of(seed), 0)
            .unwrap()
            .texts
            .iter()
            .flat_map(|run| run.text.split(' ').map(str::to_owned).collect::<Vec<_>>())
            .collect();
        words.sort();
        words
    };
    assert_eq!(words(1), words(2));
}

#[test]
fn words_stay_on_the_canvas_readable_and_apart_in_every_layout() {
    for (layout, _) in Layout::NAMES {
        for (index, prompt) in PROMPTS.iter().enumerate() {
            for (turn, size) in SIZES.into_iter().enumerate() {
                let (font, _) = Font::NAMES[(index + turn) % Font::NAMES.len()];
                let style = json!({ "layout": layout, "font": font });
                hold_texts(&brief(prompt, size, (index * 8 + turn) as u64, style));
            }
        }
    }
}

/// The scene's SVG without its texts: what lies behind them.
fn without_texts(svg: &str) -> String {
    let mut parts = svg.split("<text ");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |kept, part| {
        kept + part.split_once("</text>").unwrap().1
    })
}

#[test]
fn the_pixels_behind_text_are_as_calm_as_the_contrast_was_computed_for() {
    for (layout, _) in Layout::NAMES {
        for seed in 0..24 {
            let size = SIZES[seed as usize % 4];
            let size = (size.0 / 3, size.1 / 3);
            let style = json!({ "layout": layout, "footer": "Số 12 phố Hàng Đào, Hà Nội", "kicker": "Tin vui" });
            let brief = brief(PROMPTS[seed as usize % 4], size, seed, style);
            assert_readable(&brief, size);
        }
    }
}

/// Holds the contrast of every text against the pixels behind it.
fn assert_readable(brief: &Brief, size: (u32, u32)) {
    let scene = compose(brief, 0).unwrap();
    let bare = scene.stages().into_iter().map(|stage| match stage {
        scene::Stage::Shapes(svg) => scene::Stage::Shapes(without_texts(&svg)),
        photo => photo,
    });
    let bare: Vec<_> = bare
        .map(|stage| raster::Painted::of(stage).unwrap())
        .collect();
    let image = raster::rasterise(&bare, size, &mut |_| true).unwrap();
    for run in &scene.texts {
        let b = run.bounds;
        for (x, y) in (0..20).flat_map(|i| (0..6).map(move |j| (i, j))) {
            let x = (b.x + b.w * x as f32 / 19.0).clamp(0.0, size.0 as f32 - 1.0) as u32;
            let y = (b.y + b.h * y as f32 / 5.0).clamp(0.0, size.1 as f32 - 1.0) as u32;
            let [r, g, blue] = image.get_pixel(x, y).0;
            let contrast = run.colour.contrast(colour::Colour(r, g, blue));
            assert!(
                contrast >= READABLE - 0.05,
                "{:?} has {contrast} at {x},{y}: {} {:?}",
                run.text,
                brief.prompt,
                brief.style
            );
        }
    }
}

/// A picture as unruly as one can be: stripes of white, black and a loud colour.
fn unruly() -> Arc<RgbaImage> {
    let colours = [[255, 255, 255], [0, 0, 0], [255, 0, 200]];
    Arc::new(RgbaImage::from_fn(300, 200, |x, y| {
        let [red, green, blue] = colours[((x / 7 + y / 5) % 3) as usize];
        image::Rgba([red, green, blue, 255])
    }))
}

#[test]
fn words_are_readable_over_any_picture() {
    for (layout, _) in Layout::NAMES {
        for (used, mood) in [
            ("background", None),
            ("product", Some("light")),
            ("background", Some("vivid")),
        ] {
            for seed in 0..8 {
                let size = SIZES[seed as usize % 4];
                let size = (size.0 / 3, size.1 / 3);
                let style = json!({ "layout": layout, "picture": used, "mood": mood, "footer": "Hàng Đào", "kicker": "Tin vui" });
                let plain = brief(PROMPTS[seed as usize % 4], size, seed, style);
                let brief = Brief {
                    picture: Some(unruly()),
                    ..plain
                };
                assert_readable(&brief, size);
            }
        }
    }
}

/// How many percent of the pixels are much redder than they are green.
fn red(image: &RgbImage) -> usize {
    let red = image
        .pixels()
        .filter(|it| i16::from(it.0[0]) - i16::from(it.0[1]) > 60);
    red.count() * 100 / image.pixels().len()
}

#[test]
fn the_picture_is_seen_in_every_layout_and_not_where_the_style_does_not_want_it() {
    let picture = Arc::new(RgbaImage::from_pixel(
        90,
        60,
        image::Rgba([230, 20, 20, 255]),
    ));
    for (layout, _) in Layout::NAMES {
        for (used, least) in [("background", 25), ("product", 3)] {
            let style =
                json!({ "layout": layout, "picture": used, "palette": "ocean", "mood": "dark" });
            let bare = brief(PROMPTS[0], (360, 450), 5, style);
            let without = draw(&bare, &mut |_| true).unwrap();
            let pictured = Brief {
                picture: Some(picture.clone()),
                ..bare.clone()
            };
            let with = draw(&pictured, &mut |_| true).unwrap();
            assert!(
                red(&with) >= red(&without) + least,
                "{layout} {used}: {} {}",
                red(&with),
                red(&without)
            );
            assert_eq!(
                draw(&pictured, &mut |_| true).unwrap(),
                with,
                "the same brief, the same pixels"
            );
            let mut unwanted = pictured.clone();
            unwanted.style.insert("picture".to_owned(), "none".into());
            let mut plain = bare;
            plain.style.insert("picture".to_owned(), "none".into());
            assert_eq!(pixels(&unwanted), pixels(&plain), "{layout}");
        }
    }
}

#[test]
fn a_product_that_is_cut_out_is_whole_and_what_is_around_it_stays() {
    let cut_out = RgbaImage::from_fn(80, 120, |x, _| match (20..60).contains(&x) {
        true => image::Rgba([230, 20, 20, 255]),
        false => image::Rgba([0, 0, 0, 0]),
    });
    for layout in ["poster", "banner", "split", "centered"] {
        let style = json!({ "layout": layout, "palette": "ocean" });
        let bare = brief(PROMPTS[1], (360, 450), 5, style);
        let brief = Brief {
            picture: Some(Arc::new(cut_out.clone())),
            ..bare
        };
        let share = red(&draw(&brief, &mut |_| true).unwrap());
        assert!((2..=30).contains(&share), "{layout}: {share}");
    }
}

#[test]
fn a_picture_without_words_fills_the_canvas() {
    let picture = Arc::new(RgbaImage::from_pixel(
        90,
        60,
        image::Rgba([230, 20, 20, 255]),
    ));
    let bare = brief("", (200, 300), 1, json!({}));
    let brief = Brief {
        picture: Some(picture),
        ..bare
    };
    assert_eq!(red(&draw(&brief, &mut |_| true).unwrap()), 100);
}

#[test]
fn kicker_badge_and_footer_stay_on_the_canvas_readable_and_apart() {
    for (layout, _) in Layout::NAMES {
        for (turn, size) in SIZES.into_iter().enumerate() {
            for emblem in ["cup", "none"] {
                let style = json!({
                    "layout": layout, "emblem": emblem, "kicker": "Tin vui", "badge": "Tặng kèm 10% hóa đơn",
                    "footer": "Số 12 phố Hàng Đào, Hoàn Kiếm, Hà Nội · 0900 000 000",
                });
                let discs = hold_texts(&brief(PROMPTS[turn % 3], size, turn as u64, style));
                let large = size.0.min(size.1) > 500 && *layout != "quote";
                assert!(
                    discs > 0 || !large || *layout == "billboard",
                    "no seal in {layout}"
                );
            }
        }
    }
}

#[test]
fn marks_in_a_seal_of_several_lines_do_not_touch() {
    for badge in ["Mua 1 tặng 1", "Ưu đãi đặc biệt", "TẾT ẤT TỴ RỘN RÀNG"] {
        for seed in 0..24 {
            let style = json!({ "badge": badge });
            hold_texts(&brief("Sinh tố bơ", (1_200, 675), seed, style));
        }
    }
}

#[test]
fn a_price_of_several_groups_stands_on_one_line() {
    for seed in 0..24 {
        let layout = json!({ "layout": "poster" });
        let brief = brief(
            "Túi da thật | giá 1 299 000 đ",
            (1_080, 1_350),
            seed,
            layout,
        );
        let scene = compose(&brief, 0).unwrap();
        let mut texts = scene.texts.iter().map(|run| run.text.as_str());
        let whole = |text: &str| text.to_lowercase().contains("1 299 000 đ");
        assert!(texts.any(whole), "{:?}", scene.svg());
    }
}

#[test]
fn what_cannot_be_shown_is_named() {
    assert_eq!(omitted("Tết 🎉 日本 日"), "🎉日本");
    assert_eq!(omitted("Phở «24» – giá 50.000đ…"), "");
}

#[test]
fn an_emoji_is_named_and_left_out_as_one() {
    let family = "👩‍👩‍👧";
    for emoji in ["👩‍💻", family, "🇻🇳", "👍🏽", "❤️‍🔥", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]
    {
        let prompt = format!("Chào {emoji} {emoji}bạn");
        assert_eq!(omitted(&prompt), emoji);
        assert_eq!(font::showable(&prompt, &Face::ALL), "Chào  bạn", "{emoji}");
    }
    assert_eq!(
        omitted(&format!("🇻🇳🇯🇵 {family}🇻🇳👍👍🏽")),
        format!("🇻🇳🇯🇵{family}👍👍🏽")
    );
    // What joins or selects and has nothing to do so is nothing that anybody missed.
    assert_eq!(omitted("Giá\u{200d} \u{fe0f}1️⃣ ly™️\u{200b}"), "");
    assert_eq!(font::showable("1️⃣ ly™️\u{200b}", &Face::ALL), "1 ly™");
}

#[test]
fn every_palette_carries_readable_text_in_every_mood() {
    let custom = [
        ["#808080", "#7f7f7f"],
        ["#ffff00", "#ff00ff"],
        ["#000000", "#ffffff"],
        ["#ff0000", "#00ff00"],
    ];
    let custom = custom
        .map(|pair| Palette::from_colours(&pair.map(|text| colour::Colour::parse(text).unwrap())));
    for palette in PALETTES.iter().chain(&custom) {
        for mood in [Mood::Dark, Mood::Vivid, Mood::Light] {
            let ground = Ground::new(palette, mood);
            for ink in [ground.ink, ground.quiet, ground.accent] {
                let contrast = ink.least_contrast(&ground.behind());
                assert!(
                    contrast >= READABLE,
                    "{} {mood:?}: {contrast}",
                    palette.name
                );
            }
        }
    }
}

#[test]
fn every_font_has_every_vietnamese_letter() {
    use unicode_normalization::UnicodeNormalization;
    let tones = ["", "\u{300}", "\u{301}", "\u{303}", "\u{309}", "\u{323}"];
    let vowels = "aăâeêioôơuưy"
        .chars()
        .flat_map(|vowel| tones.map(|tone| format!("{vowel}{tone}")));
    let letters: String = vowels
        .flat_map(|letter| letter.nfc().collect::<Vec<_>>())
        .chain("đbcdghklmnpqrstvx0123456789%₫“”—…".chars())
        .collect();
    for face in Face::ALL {
        for c in letters.chars().chain(letters.to_uppercase().chars()) {
            assert!(covers(face, c), "{face:?} lacks {c:?}");
        }
    }
}

#[test]
fn decomposed_letters_draw_like_composed_ones() {
    use unicode_normalization::UnicodeNormalization;
    let decomposed: String = PROMPTS[0].nfd().collect();
    assert_ne!(decomposed, PROMPTS[0]);
    let of = |prompt: &str| {
        compose(&brief(prompt, (400, 500), 3, json!({})), 0)
            .unwrap()
            .svg()
    };
    assert_eq!(of(&decomposed), of(PROMPTS[0]));
}

#[test]
fn what_the_fonts_lack_is_left_out_and_the_rest_is_drawn() {
    let scene = compose(
        &brief("🎉 Sale 你好 𝓫𝓲𝓰", (400, 400), 1, json!({ "font": "sans" })),
        0,
    )
    .unwrap();
    let words: Vec<&str> = scene.texts.iter().map(|run| run.text.as_str()).collect();
    assert_eq!(words.join(" "), "Sale big");
}

#[test]
fn a_picture_without_words_is_still_a_picture() {
    for (layout, _) in Layout::NAMES {
        let image = draw(
            &brief("🎉", (120, 90), 5, json!({ "layout": layout })),
            &mut |_| true,
        )
        .unwrap();
        let first = *image.get_pixel(60, 0);
        assert!(image.pixels().any(|pixel| *pixel != first), "{layout}");
    }
}

#[test]
fn every_motif_draws_in_every_layout() {
    for (layout, _) in Layout::NAMES {
        for (motif, _) in Motif::NAMES {
            let style = json!({ "layout": layout, "motif": motif });
            draw(&brief(PROMPTS[0], (160, 120), 9, style), &mut |_| true).unwrap();
        }
    }
}

#[test]
fn progress_rises_in_at_least_ten_steps_to_one() {
    for size in [(64, 64), (640, 480)] {
        let mut shares = Vec::new();
        draw(&brief(PROMPTS[0], size, 1, json!({})), &mut |share| {
            shares.push(share);
            true
        })
        .unwrap();
        assert!(shares.len() >= 10, "{shares:?}");
        assert!(
            shares.is_sorted() && shares.last() == Some(&1.0),
            "{shares:?}"
        );
    }
}

#[test]
fn the_drawing_stops_when_told_to() {
    for stop_after in [0, 1, 2, 5] {
        let mut calls = 0;
        let result = draw(&brief(PROMPTS[0], (640, 480), 1, json!({})), &mut |_| {
            calls += 1;
            calls <= stop_after
        });
        assert_eq!(result, Err(DrawError::Stopped));
        assert_eq!(calls, stop_after + 1);
    }
}

#[test]
fn wrong_sizes_and_styles_are_refused_by_field() {
    let field = |brief: Brief| match draw(&brief, &mut |_| true) {
        Err(DrawError::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(brief("a", (63, 64), 1, json!({}))), "width");
    assert_eq!(field(brief("a", (1000, 4097), 1, json!({}))), "height");
    assert_eq!(field(brief("a", (1000, 200), 1, json!({}))), "width");
    assert_eq!(
        field(brief("a", (100, 100), 1, json!({ "palette": "mud" }))),
        "style.palette"
    );
}

#[test]
fn every_template_of_the_starter_catalogue_draws() {
    let text = include_str!("../../../../catalogue/starter.toml");
    let catalogue: Value = toml::from_str(text).unwrap();
    let mut count = 0;
    let features = catalogue["features"].as_array().unwrap();
    for feature in features
        .iter()
        .filter(|feature| feature["category"] == "image")
    {
        for template in feature["templates"].as_array().unwrap() {
            let style = template["template_data"]["style"].clone();
            check_style(style.as_object().unwrap()).unwrap();
            hold_texts(&brief(PROMPTS[count % 6], (540, 675), 1, style));
            count += 1;
        }
    }
    assert!(count >= 12);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_prompt_makes_it_panic(prompt in "\\PC{0,200}", seed: u64, width in 64_u32..300, tall in 0.25_f32..4.0) {
        let height = ((width as f32 * tall) as u32).clamp(width.div_ceil(4).max(64), width * 4);
        prop_assume!(width <= height * 4);
        let brief = brief(&prompt, (width, height), seed, json!({}));
        prop_assert!(draw(&brief, &mut |_| true).is_ok());
    }

    #[test]
    fn vietnamese_words_stay_on_the_canvas(words in prop::collection::vec("[a-zăâđêôơưàáảãạếềểễệ%0-9:,.!-]{1,14}", 1..60), seed: u64) {
        hold_texts(&brief(&words.join(" "), (540, 675), seed, json!({})));
    }
}
