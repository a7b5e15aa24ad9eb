//! The words by which prices, discounts, days, names and openings are known. Phrases are in lower case, without marks
//! around them.

use regex::Regex;

/// A pattern that matches any of the phrases, the longest first, in either case.
pub(super) fn any(phrases: &[&str]) -> String {
    let mut sorted: Vec<String> = phrases.iter().map(|phrase| regex::escape(phrase)).collect();
    sorted.sort_by_key(|phrase| std::cmp::Reverse(phrase.len()));
    format!("(?:{})", sorted.join("|"))
}

/// Compiles a pattern of ours, in which letters match in either case.
pub(super) fn compiled(pattern: &str) -> Regex {
    Regex::new(&format!("(?i){pattern}")).expect("a pattern of the composer's own compiles")
}

/// Signs of money, which stand close before or behind a number.
pub(super) const MONEY_SIGNS: &[&str] = &["$", "€", "£", "¥", "₫", "₩", "฿", "₹"];
/// Letters before a dollar's sign.
pub(super) const DOLLARS: &[&str] = &["us", "a", "c", "s", "hk", "nz"];
/// Codes of money, which stand before or behind a number.
pub(super) const MONEY_CODES: &[&str] = &[
    "vnd", "vnđ", "usd", "eur", "gbp", "chf", "jpy", "aud", "sgd",
];
/// Words for money behind a number.
pub(super) const MONEY_WORDS: &[&str] = &[
    "đ", "đồng", "euro", "euros", "dollar", "dollars", "kč", "zł", "baht", "yen",
];
/// Money of which nothing is sold for less than five hundred: "10đ" are ten points.
pub(super) const SMALL_MONEY: &[&str] = &["đ", "₫", "vnd", "vnđ", "đồng"];
/// Thousands and millions, which may be of money or of anything else.
pub(super) const MAGNITUDES: &[&str] = &[
    "k", "nghìn", "ngàn", "tr", "triệu", "tỷ", "tỉ", "cành", "triệu rưỡi",
];
/// What may stand between money's sign and the end: "$1.2 million".
pub(super) const MAGNITUDES_OF_MONEY: &[&str] = &["k", "m", "bn", "million", "billion", "triệu", "nghìn"];

/// Words that belong to the price or discount that follows them.
pub(super) const LEADS: &[&str] = &[
    "giảm", "giam", "giảm giá", "giảm ngay", "giá", "giá bán", "giá sốc", "giá rẻ", "giá chỉ", "chỉ", "chỉ còn", "còn",
    "từ", "đến",
    "tới", "lên đến", "lên tới", "ưu đãi", "đồng giá", "tặng", "hoàn", "hoàn tiền", "chiết khấu",
    "khuyến mãi", "khuyến mại", "trả góp", "lãi suất", "học bổng", "học phí", "lệ phí", "phí", "trả trước", "cọc",
    "đặt cọc", "vé", "lương",
    "thu nhập", "voucher", "trọn gói", "sale", "sale off", "up to", "save", "get", "only", "from",
    "just", "now", "price", "tickets", "ticket", "entry", "starting at", "discount",
    "cashback", "extra", "tiết kiệm", "khoảng",
];
/// Leads that make a discount of a percentage.
pub(super) const DISCOUNTS: &[&str] = &[
    "giảm", "giam", "giảm giá", "ưu đãi", "tặng", "hoàn", "hoàn tiền", "chiết khấu", "khuyến mãi",
    "khuyến mại", "trả góp", "lãi suất", "học bổng", "voucher", "sale", "save", "discount",
    "cashback", "extra",
];
/// What makes a discount of the percentage before it.
pub(super) const DISCOUNTED: &[&str] = &["off", "discount", "sale", "cashback", "lãi suất", "học phí"];
/// Of these, less is no discount but what the thing does.
pub(super) const NOT_SOLD: &[&str] = &[
    "thời gian", "chi phí", "mỡ", "cân", "đau", "rụng tóc", "calo", "đường", "điện", "điện năng", "tiền điện",
    "tiền nước", "hoá đơn", "hóa đơn",
    "nguy cơ", "rủi ro", "lượng", "tiếng ồn", "nhiệt", "nếp nhăn", "mụn", "stress",
    "khí thải", "rác", "time", "of your", "energy", "power", "water", "more", "weight",
];
/// What a price is for, behind it.
pub(super) const UNITS: &[&str] = &["off", "discount", "each", "pcm", "pp", "per", "cashback"];
/// What may follow a number of thousands that is a price, and does not follow one that counts.
pub(super) const CLOSES: &[&str] = &[
    "một", "mỗi", "cho", "cả", "trở", "bao gồm", "gồm", "each", "per", "a", "an", "for", "và",
    "and", "or", "hoặc", "người lớn", "trẻ em", "net", "gross", "thương lượng", "có thương lượng", "bao", "chưa", "đã",
];
/// What thousands and millions count when they are no money.
pub(super) const COUNTED: &[&str] = &[
    "người dùng", "người theo dõi", "người xem", "người tham gia", "người đăng ký", "lượt", "khách",
    "thành viên", "học viên", "sinh viên", "sản phẩm", "đơn hàng", "đánh giá", "bước", "bản", "fan",
    "sao", "tín đồ", "cây", "cuốn", "bài", "từ vựng", "follower", "followers", "views", "view",
    "subscribers", "stars", "users", "customers", "likes", "downloads", "steps", "reviews", "people",
    "members", "fans", "trees", "words", "lumens",
];
/// Before a sum that nobody pays: a prize, a gift's worth, the least that an order must be.
pub(super) const NOT_A_PRICE: &[&str] = &[
    "win", "wins", "won", "prize", "prizes", "prize of", "reward", "reward of", "giải thưởng", "giải nhất", "giải nhì",
    "giải ba", "thưởng", "trúng", "trị giá", "worth", "đơn", "đơn hàng", "đơn từ", "đơn hàng từ",
    "hoá đơn từ", "hóa đơn từ", "bill từ", "trên", "hơn", "over", "above", "orders from", "raised",
    "quyên góp", "gây quỹ",
];

/// What a "k" measures where it is no price: a word for it near by, and the most there is of it.
pub(super) struct Measure {
    pub(super) named: &'static [&'static str],
    pub(super) most: f64,
    /// Whether the word may stand in another part of the prompt.
    pub(super) anywhere: bool,
}

pub(super) const MEASURES: &[Measure] = &[
    Measure {
        named: &[
            "màn", "màn hình", "screen", "tv", "tivi", "video", "quay", "camera", "hdr", "uhd",
            "monitor", "display", "độ phân giải", "resolution", "hz", "inch", "projector",
            "máy chiếu", "laptop", "film", "streaming", "blu-ray", "ảnh", "phim",
        ],
        most: 16.0,
        anywhere: false,
    },
    Measure {
        named: &["vàng", "gold", "nhẫn", "ring", "karat", "dây chuyền", "bông tai", "lắc tay"],
        most: 24.0,
        anywhere: false,
    },
    Measure {
        named: &[
            "cự ly", "cự li", "marathon", "giải chạy", "đường chạy", "run", "race", "trail",
            "half marathon", "fun run",
        ],
        most: 100.0,
        anywhere: true,
    },
];

/// Behind a sum that nobody pays.
pub(super) const GOALS: &[&str] = &[
    "goal", "target", "raised", "prize", "in prizes", "reward", "for charity", "tiền thưởng", "giải thưởng",
];
/// With what a clause begins that offers something without a number of its own.
pub(super) const GIFTS: &[&str] = &[
    "tặng", "miễn phí", "freeship", "free ship", "miễn ship", "ưu đãi", "giảm giá", "mua 1 tặng 1", "free", "buy one",
    "complimentary",
];

/// Before a fraction that is a rating or a round, and no day.
pub(super) const RATED: &[&str] = &[
    "đánh giá", "điểm", "đạt", "chấm", "giảm", "rated", "rating", "score", "scores", "round", "vòng",
    "tập", "part", "episode", "tỉ lệ", "tỷ lệ", "chương", "trận", "bước", "step", "page", "trang",
    "kỳ", "phần", "hơn",
];
/// Before a number of hours that something takes.
pub(super) const TAKES: &[&str] = &[
    "trong", "trong vòng", "vòng", "sau", "mỗi", "suốt", "giao", "ship", "chỉ", "in", "within",
    "for", "after", "lasts", "under",
];
/// Words that open what says when something is.
pub(super) const WHEN: &[&str] = &[
    "ngày", "lúc", "vào", "vào lúc", "từ", "từ ngày", "đến", "đến ngày", "đến hết", "tới", "hết",
    "hôm", "sáng", "trưa", "chiều", "tối", "đêm", "bắt đầu", "diễn ra", "khai mạc", "mở cửa", "mở bán",
    "thời gian", "hạn chót", "on", "at", "from", "to", "this", "next", "every", "each", "first",
    "last", "until", "till", "starting", "starts", "ends", "doors", "doors open", "open", "by",
    "before", "through", "and",
];
/// Before the time of something, where a line begins with them.
pub(super) const LABELS: &[&str] = &[
    "khai trương", "khai giảng", "khởi hành", "tổ chức", "thời gian", "ngày giờ", "giờ mở cửa", "lịch học",
    "hạn đăng ký",
    "date", "time", "when", "deadline", "hours", "opening hours", "date and time", "date & time",
];
/// Days that are named by how they stand to today, or that come again.
pub(super) const RELATIVE_DAYS: &[&str] = &[
    "hôm nay", "ngày mai", "tối nay", "sáng mai", "cuối tuần này", "cuối tuần", "hằng ngày",
    "hàng ngày", "hàng tuần", "hằng tuần", "này", "tới", "âm lịch", "dương lịch", "today", "tonight",
    "tomorrow", "midnight", "noon", "late", "daily", "weekend", "sharp", "và",
];
/// Before where something is.
pub(super) const WHERE: &[&str] = &["tại", "ở", "trên", "qua", "trực tuyến", "at", "in", "@", "online", "via"];

pub(super) const MONTHS: &[&str] = &[
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep",
    "sept", "oct", "nov", "dec",
];
pub(super) const WEEKDAYS: &[&str] = &[
    "thứ hai", "thứ ba", "thứ tư", "thứ năm", "thứ sáu", "thứ bảy", "thứ 2", "thứ 3", "thứ 4",
    "thứ 5", "thứ 6", "thứ 7", "chủ nhật", "cn", "t2", "t7", "monday", "tuesday", "wednesday",
    "thursday", "friday", "saturday", "sunday", "mondays", "tuesdays", "wednesdays", "thursdays",
    "fridays", "saturdays", "sundays", "mon", "tue", "tues", "wed", "thu", "thurs", "fri", "sat", "sun",
];

/// Abbreviations that end with a full stop which ends no sentence; single letters are known without.
pub(super) const ABBREVIATIONS: &[&str] = &[
    // Titles.
    "ths", "ts", "tskh", "pgs", "gs", "bs", "bsck", "ckii", "cki", "ks", "kts", "ls", "mc", "nsna", "nsnd", "nsưt",
    "nsut", "ns",
    "lm", "ht", "đd", "ds", "dr", "mr", "mrs", "ms", "mx", "prof", "st", "sr", "jr", "rev", "hon", "capt", "lt",
    "col", "gen", "sgt", "gov", "sen", "msgr", "mme", "mlle", "phd", "dipl", "ing", "supt", "insp",
    // Places and numbers.
    "tp", "tx", "tt", "kp", "kđt", "kcn", "ql", "đl", "đc", "bv", "đh", "str", "ave", "blvd", "rd", "ln", "sq",
    "hwy", "apt", "ste", "fl", "bldg", "rm", "no", "nr", "nos", "vol", "ed", "fig", "dept", "univ", "inst", "mt", "ft",
    // Firms and words.
    "cty", "inc", "ltd", "corp", "bros", "assoc", "intl", "est", "vs", "feat", "etc", "incl", "excl", "approx",
    "avail", "min",
    "max", "tel", "đt", "sđt", "lh", "vd", "hr", "hrs", "mo", "wk", "yr", "yrs", "pcs", "jan", "feb", "mar", "apr",
    "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "mon", "tue", "tues", "wed", "thu", "thurs", "fri",
];
/// Abbreviations that a sentence may end with all the same, where a capital follows.
pub(super) const MAY_END: &[&str] = &[
    "etc", "min", "max", "v.v", "a.m", "p.m", "hr", "hrs", "mo", "wk", "yr", "yrs", "pcs", "inc", "ltd", "corp", "bros",
];
/// Before a single letter that is no initial: "size L."
pub(super) const LETTERED: &[&str] = &[
    "size", "vitamin", "hạng", "lớp", "loại", "tầng", "khu", "block", "toà", "tòa", "nhóm", "bảng", "class", "grade",
    "plan", "type", "group", "cỡ",
];
/// Behind the dash of a time that has no end in numbers.
pub(super) const OPEN_ENDS: &[&str] = &["midnight", "noon", "late", "khuya", "hết", "nửa đêm"];

/// Places between which a dash is a way, and inside which no line breaks.
pub(super) const PLACES: &[&str] = &[
    "hà nội", "sài gòn", "tp. hcm", "tp.hcm", "hcm", "hồ chí minh", "đà nẵng", "hải phòng", "cần thơ",
    "huế", "nha trang", "đà lạt", "vũng tàu", "hạ long", "quảng ninh", "sa pa", "sapa", "phú quốc",
    "côn đảo", "quy nhơn", "hội an", "quảng bình", "quảng nam", "ninh bình", "hà giang", "cao bằng",
    "lào cai", "mộc châu", "mai châu", "sơn la", "điện biên", "thái nguyên", "bắc ninh", "hưng yên",
    "hải dương", "nam định", "thanh hoá", "thanh hóa", "nghệ an", "vinh", "phan thiết", "mũi né",
    "biên hoà", "bình dương", "đồng nai", "tây ninh", "long an", "tiền giang", "mỹ tho", "bến tre",
    "cà mau", "buôn ma thuột", "gia lai", "kon tum", "bangkok", "singapore", "seoul", "tokyo",
    "london", "paris", "new york", "berlin", "sydney", "rome",
];
/// What a wedding is known by.
pub(super) const WEDDINGS: &[&str] = &[
    "cưới", "đính hôn", "thành hôn", "tân hôn", "vu quy", "báo hỷ", "báo hỉ", "kết hôn", "ăn hỏi",
    "wedding", "marry", "married", "marriage", "engagement", "together with their families",
];

/// Openings that say what kind of message follows.
pub(super) const KICKERS: &[&str] = &[
    "thông báo", "tuyển dụng", "thư mời", "trân trọng kính mời", "lời mời", "sự kiện", "tin vui",
    "tin mới", "chú ý", "lưu ý", "ra mắt", "workshop", "webinar", "hội thảo", "toạ đàm", "tọa đàm",
    "lễ cưới", "lễ thành hôn", "lễ vu quy", "lễ tân hôn", "lễ đính hôn", "báo hỷ",
    "cùng với gia đình hai bên", "grand opening", "announcement", "notice", "hiring",
    "we are hiring", "we're hiring", "now hiring", "we're getting married", "we’re getting married",
    "we are getting married", "chúng mình cưới", "event", "invitation", "wedding invitation", "the wedding of",
    "save the date", "together with their families",
];
