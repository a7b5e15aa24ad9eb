//! What a template may say about a picture's look.

use serde_json::{Map, Value};

use super::DrawError;
use super::colour::Colour;
use super::palette::{Mood, PALETTES, Palette};
use crate::style::{Problems, Reader, first_problem, in_turn, listed, named};

named! {
    /// How text and art share the canvas.
    Layout {
        /// Art above, words below, with a curved edge between them.
        Poster = "poster",
        /// Words at the start, art at the end.
        Banner = "banner",
        /// Two halves with a straight edge.
        Split = "split",
        /// A card on a pattern.
        Announcement = "announcement",
        /// Words in the middle, ornaments in the corners.
        Centered = "centered",
        /// A quotation with its author.
        Quote = "quote",
        /// Huge words over the whole canvas.
        Billboard = "billboard",
    }
}

named! {
    /// The kind of shapes that decorate a picture.
    Motif {
        Waves = "waves",
        Blobs = "blobs",
        Rays = "rays",
        Dots = "dots",
        Confetti = "confetti",
        Leaves = "leaves",
        Grid = "grid",
        Arcs = "arcs",
        Hills = "hills",
        Stripes = "stripes",
        None = "none",
    }
}

named! {
    /// The headline's typeface.
    Font {
        Sans = "sans",
        Display = "display",
        Serif = "serif",
        Rounded = "rounded",
    }
}

named! {
    /// How words stand in their box.
    Align {
        Left = "left",
        Center = "center",
    }
}

named! {
    /// How light the ground behind the words is.
    MoodName {
        Dark = "dark",
        Vivid = "vivid",
        Light = "light",
    }
}

named! {
    /// The illustration.
    Emblem {
        Cup = "cup",
        Gift = "gift",
        Cake = "cake",
        Heart = "heart",
        Book = "book",
        Music = "music",
        Leaf = "leaf",
        Bowl = "bowl",
        Blossom = "blossom",
        Lantern = "lantern",
        Snowflake = "snowflake",
        Megaphone = "megaphone",
        Bag = "bag",
        Plane = "plane",
        Star = "star",
        Ball = "ball",
        Bread = "bread",
        Camera = "camera",
        Cap = "cap",
        Car = "car",
        Dumbbell = "dumbbell",
        Fish = "fish",
        Glass = "glass",
        House = "house",
        IceCream = "ice_cream",
        Laptop = "laptop",
        Palette = "palette",
        Paw = "paw",
        Pizza = "pizza",
        Polish = "polish",
        Pumpkin = "pumpkin",
        Ring = "ring",
        Scissors = "scissors",
        Shoe = "shoe",
        Swim = "swim",
        Teapot = "teapot",
        Tooth = "tooth",
        Tree = "tree",
        None = "none",
    }
}

named! {
    /// What a picture of the user's own is.
    PictureUse {
        /// All of the canvas, behind the words.
        Background = "background",
        /// In the place of the art, where a layout has one.
        Product = "product",
        /// Nothing.
        None = "none",
    }
}

impl From<MoodName> for Mood {
    fn from(name: MoodName) -> Self {
        match name {
            MoodName::Dark => Self::Dark,
            MoodName::Vivid => Self::Vivid,
            MoodName::Light => Self::Light,
        }
    }
}

/// A template's style; what it leaves open is chosen by the prompt and the seed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Style {
    pub(super) layout: Option<Layout>,
    pub(super) palette: Option<Palette>,
    pub(super) motif: Option<Motif>,
    pub(super) font: Option<Font>,
    pub(super) mood: Option<Mood>,
    pub(super) align: Option<Align>,
    pub(super) emblem: Option<Emblem>,
    pub(super) picture: Option<PictureUse>,
    pub(super) kicker: Option<String>,
    pub(super) badge: Option<String>,
    pub(super) footer: Option<String>,
}

/// Checks a style without drawing.
///
/// # Errors
/// Every known key whose value has the wrong type or is not in its set, with what is expected instead. Unknown keys are
/// not looked at.
pub fn check_style(style: &Map<String, Value>) -> Result<(), Problems> {
    read(style, 0).map(drop)
}

impl Style {
    /// Reads a style; where it has a list of values, they take turns. The error names the first wrong key as `style.<key>`.
    pub(super) fn parse(style: &Map<String, Value>, turn: u64) -> Result<Self, DrawError> {
        read(style, turn).map_err(|problems| {
            let (field, message) = first_problem(problems);
            DrawError::Invalid { field, message }
        })
    }
}

fn read(style: &Map<String, Value>, turn: u64) -> Result<Style, Problems> {
    let mut reader = Reader::new(style);
    let parsed = Style {
        layout: reader.turn_of("layout", Layout::NAMES, turn),
        palette: palette(&mut reader, turn),
        motif: reader.turn_of("motif", Motif::NAMES, turn),
        font: reader.turn_of("font", Font::NAMES, turn),
        mood: reader
            .turn_of("mood", MoodName::NAMES, turn)
            .map(Mood::from),
        align: reader.turn_of("align", Align::NAMES, turn),
        emblem: reader.turn_of("emblem", Emblem::NAMES, turn),
        picture: reader.one_of("picture", PictureUse::NAMES),
        kicker: reader.text("kicker"),
        badge: reader.text("badge"),
        footer: reader.text("footer"),
    };
    reader.finish(parsed)
}

fn palette(reader: &mut Reader, turn: u64) -> Option<Palette> {
    let told = reader.value("palette")?;
    let named = |name: &Value| name.as_str().and_then(Palette::named);
    if let Some(palette) = own_colours(&told).or_else(|| in_turn(&told, named, turn)) {
        return Some(palette);
    }
    let names = listed(PALETTES.iter().map(|palette| palette.name));
    reader.wrong(
        "palette",
        format!("one of {names}, a list of them, or a list of 2 to 5 colours like \"#1a2b3c\""),
    )
}

fn own_colours(told: &Value) -> Option<Palette> {
    let colours = told.as_array()?.iter();
    let colours = colours
        .map(|colour| colour.as_str().and_then(Colour::parse))
        .collect::<Option<Vec<_>>>()?;
    let is_palette = (2..=5).contains(&colours.len());
    is_palette.then(|| Palette::from_colours(&colours))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn style(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_good_style_is_accepted_and_unknown_keys_are_ignored() {
        let good = style(json!({
            "layout": "poster", "palette": ["#102030", "fff"], "motif": "none", "badge": "", "zoom": 3, "mood": null
        }));
        assert_eq!(check_style(&good), Ok(()));
        assert_eq!(Style::parse(&good, 1).map(|style| style.badge), Ok(None));
    }

    #[test]
    fn the_values_of_a_list_take_turns() {
        let varied = style(json!({
            "layout": ["poster", "centered", "split"], "palette": ["tet", "mono"], "mood": "dark"
        }));
        assert_eq!(check_style(&varied), Ok(()));
        let of = |turn| {
            let style = Style::parse(&varied, turn).expect("a style");
            (
                style.layout,
                style.palette.map(|palette| palette.name),
                style.mood,
            )
        };
        let dark = Some(Mood::Dark);
        assert_eq!(of(0), (Some(Layout::Poster), Some("tet"), dark));
        assert_eq!(of(4), (Some(Layout::Centered), Some("tet"), dark));
        assert_eq!(of(u64::MAX), (Some(Layout::Poster), Some("mono"), dark));
        for wrong in [json!([]), json!(["poster", "cube"])] {
            let problems = check_style(&style(json!({ "layout": wrong })));
            assert!(problems.is_err_and(|told| told[0].1.contains("list")));
        }
    }

    #[test]
    fn every_wrong_key_is_named_with_what_is_expected() {
        let bad = style(json!({ "layout": "cube", "palette": ["#12"], "motif": 7, "footer": [] }));
        let problems = check_style(&bad).expect_err("refused");
        let keys: Vec<&str> = problems.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["layout", "palette", "motif", "footer"]);
        assert!(problems[0].1.contains("\"poster\""), "{problems:?}");
        let error = Style::parse(&bad, 1).expect_err("refused");
        assert!(matches!(error, DrawError::Invalid { field, .. } if field == "style.layout"));
    }
}
