//! Flat illustrations of what an invitation is about, drawn in a square from -1 to 1.

mod drawings;

use super::colour::Colour;
use super::geometry::Area;
use super::scene::Scene;
use super::style::Emblem;

/// Words, Vietnamese and English, that call for an illustration.
type Subjects = &'static [(Emblem, &'static [&'static str])];

/// Subjects proper; the one that the prompt names first wins.
#[rustfmt::skip]
const SUBJECTS: Subjects = &[
    (Emblem::Blossom, &["tết", "xuân", "năm mới", "hoa", "lunar", "flower", "flowers", "spring", "spa", "8/3", "20/10"]),
    (Emblem::Lantern, &["trung thu", "đèn lồng", "hội an", "mid-autumn", "lantern"]),
    (Emblem::Snowflake, &["giáng sinh", "noel", "mùa đông", "christmas", "xmas", "winter"]),
    (Emblem::Cake, &["sinh nhật", "bánh", "birthday", "cake", "bakery", "cupcakes", "anniversary"]),
    (Emblem::Cup, &["cà phê", "cafe", "café", "coffee", "trà", "trà sữa", "tea", "đồ uống", "pha chế", "latte"]),
    (Emblem::Bowl, &["phở", "bún", "quán ăn", "nhà hàng", "ẩm thực", "món", "lẩu", "mì", "cơm", "restaurant", "food", "noodles", "lunch"]),
    (Emblem::Heart, &["yêu", "cưới", "valentine", "love", "wedding", "từ thiện", "charity", "trái tim"]),
    (Emblem::Music, &["nhạc", "acoustic", "concert", "music", "dj", "karaoke"]),
    (Emblem::Plane, &["du lịch", "tour", "travel", "vé máy bay", "flight", "trip"]),
    (Emblem::Leaf, &["chay", "hữu cơ", "thiên nhiên", "yoga", "organic", "nature", "garden", "eco", "cây xanh"]),
];

/// What an invitation is in general, for prompts without a subject.
#[rustfmt::skip]
const OCCASIONS: Subjects = &[
    (Emblem::Book, &["học", "khóa học", "sách", "lớp", "workshop", "hội thảo", "course", "book", "books", "class", "school", "seminar"]),
    (Emblem::Megaphone, &["tuyển dụng", "tuyển", "thông báo", "hiring", "announcement", "notice", "news"]),
    (Emblem::Bag, &["thời trang", "cửa hàng", "mua sắm", "shop", "store", "fashion", "sale", "giảm giá", "khuyến mãi", "black friday"]),
    (Emblem::Gift, &["khai trương", "quà", "tặng", "opening", "gift", "gifts", "party", "chúc mừng"]),
];

/// The illustration that a prompt calls for, if any.
pub(super) fn for_prompt(prompt: &str) -> Option<Emblem> {
    let words: Vec<String> = prompt
        .to_lowercase()
        .split(|c: char| !(c.is_alphanumeric() || c == '/' || c == '-'))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let text = format!(" {} ", words.join(" "));
    first_named(&text, SUBJECTS).or_else(|| first_named(&text, OCCASIONS))
}

fn first_named(text: &str, subjects: Subjects) -> Option<Emblem> {
    let position = |words: &[&str]| {
        words
            .iter()
            .filter_map(|word| text.find(&format!(" {word} ")))
            .min()
    };
    subjects
        .iter()
        .filter_map(|(emblem, words)| Some((position(words)?, *emblem)))
        .min_by_key(|(at, _)| *at)
        .map(|(_, emblem)| emblem)
}

/// The colours of an illustration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inks {
    pub(super) line: Colour,
    pub(super) body: Colour,
    pub(super) second: Colour,
    pub(super) light: Colour,
}

/// Draws the illustration around a point; `r` is the radius of the circle that it fits in.
pub(super) fn draw(scene: &mut Scene, emblem: Emblem, (x, y): (f32, f32), r: f32, inks: Inks) {
    scene.placed(x, y, 0.0, r, |scene| {
        let pen = Pen { scene, inks };
        match emblem {
            Emblem::Cup => drawings::cup(pen),
            Emblem::Gift => drawings::gift(pen),
            Emblem::Cake => drawings::cake(pen),
            Emblem::Heart => drawings::heart(pen),
            Emblem::Book => drawings::book(pen),
            Emblem::Music => drawings::music(pen),
            Emblem::Leaf => drawings::leaf(pen),
            Emblem::Bowl => drawings::bowl(pen),
            Emblem::Blossom => drawings::blossom(pen),
            Emblem::Lantern => drawings::lantern(pen),
            Emblem::Snowflake => drawings::snowflake(pen),
            Emblem::Megaphone => drawings::megaphone(pen),
            Emblem::Bag => drawings::bag(pen),
            Emblem::Plane => drawings::plane(pen),
            Emblem::Star => drawings::star(pen),
            Emblem::None => {}
        }
    });
}

struct Pen<'a> {
    scene: &'a mut Scene,
    inks: Inks,
}

impl Pen<'_> {
    fn fill(&mut self, path: &str, colour: Colour) {
        self.scene.fill(path, colour, 1.0);
    }

    fn line(&mut self, path: &str, width: f32, colour: Colour) {
        self.scene.stroke(path, colour, width, 1.0);
    }

    fn block(&mut self, x: f32, y: f32, w: f32, h: f32, radius: f32, colour: Colour) {
        self.scene.rect(Area { x, y, w, h }, radius, colour, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_chooses_the_illustration_by_whole_words() {
        assert_eq!(
            for_prompt("Khai trương quán cà phê: giảm 50%"),
            Some(Emblem::Cup)
        );
        assert_eq!(for_prompt("Khai trương!"), Some(Emblem::Gift));
        assert_eq!(for_prompt("Lớp yoga buổi sáng"), Some(Emblem::Leaf));
        assert_eq!(for_prompt("Steam engine fair"), None);
        assert_eq!(for_prompt("Tea time"), Some(Emblem::Cup));
    }
}
