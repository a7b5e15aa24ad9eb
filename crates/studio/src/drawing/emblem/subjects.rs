//! Which words, Vietnamese and English, call for which illustration.

use super::Emblem;

/// Words that call for an illustration. Of a table, the row whose word the prompt has first wins; of one place, the upper row.
type Subjects = &'static [(Emblem, &'static [&'static str])];

/// What is celebrated. It is read before everything else, wherever the words stand.
#[rustfmt::skip]
const EVENTS: Subjects = &[
    (Emblem::Tree, &["giáng sinh", "noel", "christmas", "xmas"]),
    (Emblem::Pumpkin, &["halloween"]),
    (Emblem::Blossom, &["tết", "năm mới", "lunar new year", "8/3", "20/10"]),
    (Emblem::Lantern, &["trung thu", "đèn lồng", "mid-autumn", "lantern"]),
    (Emblem::Cake, &["sinh nhật", "birthday", "thôi nôi", "đầy tháng"]),
    (Emblem::Heart, &["cưới", "wedding", "thành hôn", "tân hôn", "đính hôn", "engagement", "valentine", "bride"]),
    (Emblem::Cap, &["họp lớp", "reunion", "tốt nghiệp", "graduation", "kỷ yếu", "alumni", "cựu học sinh", "cựu sinh viên"]),
];

/// What a shop sells or a class teaches, as far as it is not only the name of the place.
#[rustfmt::skip]
const TRADES: Subjects = &[
    (Emblem::Bread, &["bánh mì", "banh mi", "baguette", "bread", "sandwich", "croissant"]),
    (Emblem::Cake, &["bánh", "cake", "cakes", "bakery", "cupcakes", "pastry"]),
    (Emblem::Pizza, &["pizza", "pizzeria"]),
    (Emblem::IceCream, &["kem", "ice cream", "gelato"]),
    (Emblem::Cup, &["cà phê", "cafe", "café", "coffee", "trà sữa", "trà đào", "trà chanh", "đồ uống", "pha chế", "latte", "espresso"]),
    (Emblem::Teapot, &["trà", "tiệm trà", "tea", "teahouse", "tea house"]),
    (Emblem::Glass, &["bar", "cocktail", "cocktails", "bia", "beer", "rượu vang", "wine"]),
    (Emblem::Fish, &["hải sản", "seafood", "sushi", "cá", "fish"]),
    (Emblem::Bowl, &["phở", "bún", "quán ăn", "nhà hàng", "ẩm thực", "lẩu", "mì", "cơm", "cháo", "restaurant", "food", "noodles", "ramen", "lunch"]),
    (Emblem::Polish, &["nail", "nails", "móng", "manicure", "pedicure", "làm đẹp", "mỹ phẩm", "cosmetics", "make-up", "makeup"]),
    (Emblem::Scissors, &["barber", "barbershop", "cắt tóc", "làm tóc", "salon", "salon tóc", "hớt tóc", "hairdresser", "haircut"]),
    (Emblem::Paw, &["thú y", "thú cưng", "chó", "mèo", "pet", "pets", "vet", "veterinary", "dog", "dogs", "cat", "cats", "puppy"]),
    (Emblem::Shoe, &["giày", "dép", "shoe", "shoes", "sneaker", "sneakers", "chạy bộ", "marathon", "running"]),
    (Emblem::Swim, &["bơi", "bể bơi", "hồ bơi", "swim", "swimming", "pool"]),
    (Emblem::Dumbbell, &["gym", "fitness", "thể hình", "tập luyện", "workout", "crossfit", "boxing"]),
    (Emblem::Ball, &["bóng đá", "bóng", "football", "soccer", "futsal", "đá bóng"]),
    (Emblem::Tooth, &["nha khoa", "răng", "dentist", "dental", "teeth"]),
    (Emblem::Camera, &["chụp ảnh", "nhiếp ảnh", "studio ảnh", "photo", "photos", "photography", "photographer", "camera"]),
    (Emblem::Ring, &["trang sức", "nhẫn", "vàng bạc", "kim cương", "jewellery", "jewelry", "jeweller", "diamond"]),
    (Emblem::Car, &["ô tô", "xe hơi", "rửa xe", "gara", "garage", "car", "cars", "taxi"]),
    (Emblem::House, &["nhà đất", "bất động sản", "căn hộ", "chung cư", "nội thất", "homestay", "real estate", "apartment", "furniture", "home"]),
    (Emblem::Laptop, &["lập trình", "phần mềm", "laptop", "máy tính", "công nghệ", "rust", "python", "software", "coding", "developer", "developers", "cloud", "dịch vụ nền", "tech", "app", "web"]),
    (Emblem::Palette, &["gốm", "làm gốm", "vẽ", "hội họa", "mỹ thuật", "pottery", "painting", "drawing", "ceramics", "art"]),
    (Emblem::Blossom, &["hoa", "tiệm hoa", "xuân", "flower", "flowers", "florist", "spring", "spa", "massage"]),
    (Emblem::Snowflake, &["mùa đông", "winter", "điều hòa", "máy lạnh"]),
    (Emblem::Music, &["nhạc", "acoustic", "concert", "music", "dj", "karaoke", "piano", "guitar", "liveshow"]),
    (Emblem::Plane, &["du lịch", "tour", "travel", "vé máy bay", "flight", "flights", "trip", "khởi hành"]),
    (Emblem::Heart, &["yêu", "love", "từ thiện", "charity", "trái tim", "hiến máu"]),
    (Emblem::Leaf, &["chay", "hữu cơ", "thiên nhiên", "yoga", "organic", "nature", "garden", "eco", "cây xanh", "cây cảnh", "plants", "salad"]),
];

/// What an invitation is, where it says so before its place.
#[rustfmt::skip]
const OCCASIONS: Subjects = &[
    (Emblem::Book, &["học", "khóa học", "khoá học", "sách", "lớp", "workshop", "hội thảo", "course", "book", "books", "bookshop", "class", "school", "seminar"]),
    (Emblem::Megaphone, &["tuyển dụng", "tuyển", "thông báo", "hiring", "announcement", "notice", "news"]),
];

/// What an invitation is in general.
#[rustfmt::skip]
const GENERAL: Subjects = &[
    (Emblem::Bag, &["thời trang", "quần áo", "áo khoác", "áo", "váy", "túi", "cửa hàng", "mua sắm", "shop", "store", "fashion", "sale", "giảm giá", "khuyến mãi", "black friday"]),
    (Emblem::Gift, &["khai trương", "quà", "tặng", "opening", "gift", "gifts", "party", "chúc mừng"]),
];

/// Words after which a place is named.
const PLACES: [&str; 4] = [" tại ", " ở ", " at ", " @ "];

/// The illustration that a prompt calls for, if any: the event before the trade, and the place last.
pub(in super::super) fn for_prompt(prompt: &str) -> Option<Emblem> {
    let (whole, said) = (words(prompt), words(before_place(prompt)));
    [
        (&whole, EVENTS),
        (&said, TRADES),
        (&said, OCCASIONS),
        (&whole, TRADES),
        (&whole, OCCASIONS),
        (&whole, GENERAL),
    ]
    .into_iter()
    .find_map(|(text, subjects)| first_named(text, subjects))
}

/// What is said before the place is named: the first line, up to a word that leads to a place.
fn before_place(prompt: &str) -> &str {
    let line = prompt.trim().lines().next().unwrap_or_default();
    let ends = PLACES.iter().filter_map(|place| line.find(place));
    ends.min().map_or(line, |at| &line[..at])
}

/// The words in lower case, each with a space on both sides.
fn words(text: &str) -> String {
    let words: Vec<String> = text
        .to_lowercase()
        .split(|c: char| !(c.is_alphanumeric() || c == '/' || c == '-'))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    format!(" {} ", words.join(" "))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_calls_for_its_own_illustration() {
        #[rustfmt::skip]
        let table = [
            ("Khai trương quán cà phê: giảm 50%", Some(Emblem::Cup)),
            ("Khai trương!", Some(Emblem::Gift)),
            ("Lớp yoga buổi sáng", Some(Emblem::Leaf)),
            ("Steam engine fair", None),
            ("Tea time", Some(Emblem::Teapot)),
            ("Trà sữa 25k", Some(Emblem::Cup)),
            ("Tiệm trà Sen Việt", Some(Emblem::Teapot)),
            ("Họp lớp 12A1 sau 20 năm\n18h, 29/11, Quán phở Thìn", Some(Emblem::Cap)),
            ("Class reunion at the noodle house", Some(Emblem::Cap)),
            ("Halloween party", Some(Emblem::Pumpkin)),
            ("Khai trương tiệm nail Hồng Ngọc", Some(Emblem::Polish)),
            ("Grand opening: Luigi's Pizza", Some(Emblem::Pizza)),
            ("Lớp bơi quốc tế dành cho thiếu nhi", Some(Emblem::Swim)),
            ("Swimming class for kids", Some(Emblem::Swim)),
            ("Merry Christmas\nThe Corner Bakery", Some(Emblem::Tree)),
            ("Giáng sinh an lành", Some(Emblem::Tree)),
            ("Chúc mừng năm mới", Some(Emblem::Blossom)),
            ("Phòng khám thú y Bốn Chân", Some(Emblem::Paw)),
            ("Barber shop Gentleman", Some(Emblem::Scissors)),
            ("Sale giày thể thao", Some(Emblem::Shoe)),
            ("Tuyển dụng nhân viên phục vụ tại quán cà phê Mộc", Some(Emblem::Megaphone)),
            ("Workshop làm sổ tay\n9h, Nhà hàng Sen", Some(Emblem::Book)),
            ("Khai trương\nPhở Thìn", Some(Emblem::Bowl)),
            ("Bánh mì Phượng", Some(Emblem::Bread)),
            ("Nha khoa Nụ Cười: khám miễn phí", Some(Emblem::Tooth)),
            ("Rust cho dịch vụ nền", Some(Emblem::Laptop)),
            ("Đêm nhạc acoustic tại quán cà phê Mộc", Some(Emblem::Music)),
            ("Gym Thép: tháng đầu 199k", Some(Emblem::Dumbbell)),
            ("Tour Hà Giang 3 ngày", Some(Emblem::Plane)),
            ("Ngày hội hiến máu", Some(Emblem::Heart)),
        ];
        for (prompt, emblem) in table {
            assert_eq!(for_prompt(prompt), emblem, "{prompt}");
        }
    }
}
