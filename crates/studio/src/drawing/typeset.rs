//! Sets words in boxes: wrapping by measured widths, balanced lines, and sizes that fit.

use super::DrawError;
use super::font::{Extent, Face, Meter};
use super::phrasing;

/// A text as measured words.
#[derive(Debug, Clone)]
pub(super) struct Words {
    pub(super) face: Face,
    pub(super) tracking: f32,
    words: Vec<(String, Extent)>,
    /// What the end of a line before each word costs; none where a line must end there.
    pauses: Vec<Option<f32>>,
    /// The widths of the first words together, without spaces: of none, of one, and so on.
    widths: Vec<f32>,
    space: f32,
}

/// Words from the first to before the second.
type Range = (usize, usize);

/// Lines of text at a size of one pixel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lines {
    /// Each line with its width.
    pub(super) lines: Vec<(String, f32)>,
    /// From baseline to baseline.
    pub(super) leading: f32,
    /// Ink above the first baseline.
    pub(super) ascent: f32,
    /// Ink below the last baseline.
    pub(super) descent: f32,
    /// How badly a reader stumbles at the ends of lines: what they cost that cost anything, together.
    pub(super) stumbles: f32,
}

impl Lines {
    /// The height of the ink at a size of one pixel.
    pub(super) fn height(&self) -> f32 {
        self.ascent + self.leading * self.lines.len().saturating_sub(1) as f32 + self.descent
    }

    pub(super) fn width(&self) -> f32 {
        self.lines
            .iter()
            .map(|(_, width)| *width)
            .fold(0.0, f32::max)
    }
}

impl Words {
    pub(super) fn measure(
        meter: &mut Meter,
        face: Face,
        text: &str,
        tracking: f32,
    ) -> Result<Self, DrawError> {
        let mut pieces: Vec<String> = Vec::new();
        let mut pauses = Vec::new();
        for line in text.lines() {
            let words = bound(line);
            pauses.extend((!words.is_empty()).then_some(None));
            pauses.extend(phrasing::costs(&words).into_iter().map(Some));
            pieces.extend(words);
        }
        meter.learn(face, pieces.iter().map(String::as_str))?;
        let space = meter.space(face)? + tracking;
        let words: Vec<(String, Extent)> = pieces
            .into_iter()
            .map(|piece| {
                let mut extent = meter.extent(face, &piece);
                extent.advance += tracking * piece.chars().count() as f32;
                (piece, extent)
            })
            .collect();
        let mut widths = vec![0.0];
        for (_, extent) in &words {
            widths.push(widths[widths.len() - 1] + extent.advance);
        }
        Ok(Self {
            face,
            tracking,
            words,
            pauses,
            widths,
            space,
        })
    }

    /// The widest word at a size of one pixel: no narrower box can hold the text.
    pub(super) fn widest(&self) -> f32 {
        self.words
            .iter()
            .map(|(_, extent)| extent.advance)
            .fold(0.0, f32::max)
    }

    /// Breaks words that are wider than `width` (at a size of one pixel), as a long address may be.
    pub(super) fn broken_to(&self, meter: &mut Meter, width: f32) -> Result<Self, DrawError> {
        let mut text = String::new();
        for ((word, extent), pause) in self.words.iter().zip(&self.pauses) {
            text.push(if pause.is_none() { '\n' } else { ' ' });
            let count = word.chars().count();
            if extent.advance <= width || count < 2 {
                text.push_str(word);
                continue;
            }
            // Letters differ in width: a tenth of slack covers nearly all words, the caller checks the rest.
            let fitting = (count as f32 * width / extent.advance * 0.9)
                .floor()
                .max(1.0) as usize;
            let chars: Vec<char> = word.chars().collect();
            let chunks = chars.chunks(fitting).map(String::from_iter);
            text.push_str(&chunks.collect::<Vec<_>>().join(" "));
        }
        Self::measure(meter, self.face, text.trim(), self.tracking)
    }

    /// Wraps into as few lines as `width` (at a size of one pixel) allows, and evens their lengths out.
    pub(super) fn wrap(&self, width: f32) -> Lines {
        let count = self.greedy(width).len();
        let (mut low, mut high) = (self.widest().min(width), width);
        // The narrowest width that needs no more lines gives the most even ones, and no orphans.
        for _ in 0..12 {
            let middle = (low + high) / 2.0;
            if self.greedy(middle).len() <= count {
                high = middle;
            } else {
                low = middle;
            }
        }
        self.lines(&self.phrased(self.greedy(high), high, width))
    }

    /// As many lines as these, broken where a reader would breathe, and as even as that allows; none wider than `width`.
    fn phrased(&self, even: Vec<Range>, most: f32, width: f32) -> Vec<Range> {
        let count = self.words.len();
        // Of so many first words on so many lines: the least cost, and where the last of the lines begins.
        let mut lines = vec![(0.0, 0)];
        lines.resize(count + 1, (f32::INFINITY, 0));
        let mut steps: Vec<Vec<(f32, usize)>> = Vec::new();
        for _ in &even {
            let mut next = vec![(f32::INFINITY, 0); count + 1];
            for (end, least) in next.iter_mut().enumerate().skip(1) {
                for start in (0..end).rev() {
                    let Some(cost) = self.line_cost(start, end, most, width) else {
                        break;
                    };
                    if lines[start].0 + cost < least.0 {
                        *least = (lines[start].0 + cost, start);
                    }
                }
            }
            steps.push(next.clone());
            lines = next;
        }
        let mut ranges = Vec::new();
        let mut end = count;
        for step in steps.iter().rev() {
            let (cost, start) = step[end];
            if !cost.is_finite() {
                return even;
            }
            ranges.push((start, end));
            end = start;
        }
        ranges.reverse();
        ranges
    }

    /// What a line of these words costs: how far it is from the width of the others, and its end; none if it cannot be.
    fn line_cost(&self, start: usize, end: usize, most: f32, width: f32) -> Option<f32> {
        let own = self.width(start, end);
        let is_torn = self.pauses[start + 1..end].iter().any(Option::is_none);
        if is_torn || (end - start > 1 && own > width) {
            return None;
        }
        let pause = self.pauses.get(end).copied().flatten().unwrap_or(0.0);
        Some(((most - own) / most).powi(2) + pause)
    }

    /// The first `count` lines of the text, the last one ending in an ellipsis if words are left.
    pub(super) fn wrap_cut(&self, width: f32, count: usize) -> Lines {
        let ranges = self.greedy(width);
        if ranges.len() <= count {
            return self.wrap(width);
        }
        let kept = &ranges[..count.max(1)];
        let mut lines = self.lines(kept);
        // Room for the ellipsis, which is about as wide as a capital letter in all our faces.
        let ellipsis = 1.0 + self.tracking;
        if let (Some(line), Some(range)) = (lines.lines.last_mut(), kept.last()) {
            let mut end = range.1;
            while end > range.0 + 1 && self.width(range.0, end) + ellipsis > width {
                end -= 1;
            }
            let text = self.joined(range.0, end);
            let text = text.trim_end_matches([',', '.', ';', ':', '-', '·', '…', ' ']);
            *line = (
                format!("{text}…"),
                (self.width(range.0, end) + ellipsis).min(width),
            );
        }
        lines
    }

    /// Word ranges of lines that are each filled as far as they go.
    fn greedy(&self, width: f32) -> Vec<Range> {
        let mut ranges = Vec::new();
        let mut start = 0;
        for index in 0..self.words.len() {
            let is_over = self.pauses[index].is_none() || self.width(start, index + 1) > width;
            if index > start && is_over {
                ranges.push((start, index));
                start = index;
            }
        }
        if start < self.words.len() {
            ranges.push((start, self.words.len()));
        }
        ranges
    }

    fn width(&self, start: usize, end: usize) -> f32 {
        let words = self.widths[end] - self.widths[start];
        words + self.space * (end - start).saturating_sub(1) as f32
    }

    fn joined(&self, start: usize, end: usize) -> String {
        let words: Vec<&str> = self.words[start..end]
            .iter()
            .map(|(word, _)| word.as_str())
            .collect();
        // A separator between two things is not wanted where a line ends between them.
        words.join(" ").trim_end_matches(" ·").to_owned()
    }

    fn lines(&self, ranges: &[Range]) -> Lines {
        let most = |start: usize, end: usize, part: fn(&Extent) -> f32| {
            self.words[start..end]
                .iter()
                .map(|(_, extent)| part(extent))
                .fold(0.0, f32::max)
        };
        let all = self.words.len();
        let first = ranges.first().copied().unwrap_or((0, 0));
        let last = ranges.last().copied().unwrap_or((0, 0));
        // Stacked tone marks reach high: lines stand as far apart as this text's own ink needs.
        let ink = most(0, all, |extent| extent.ascent) + most(0, all, |extent| extent.descent);
        Lines {
            lines: ranges
                .iter()
                .map(|(start, end)| (self.joined(*start, *end), self.width(*start, *end)))
                .collect(),
            leading: (ink + 0.06).max(self.least_leading()),
            ascent: most(first.0, first.1, |extent| extent.ascent),
            descent: most(last.0, last.1, |extent| extent.descent),
            stumbles: ranges
                .iter()
                .filter_map(|(start, _)| self.pauses.get(*start).copied().flatten())
                .map(|pause| pause.max(0.0))
                .sum(),
        }
    }

    fn least_leading(&self) -> f32 {
        match self.face {
            Face::Text => 1.42,
            Face::Serif => 1.2,
            Face::Heavy | Face::Rounded => 1.08,
            Face::Display => 1.12,
        }
    }
}

/// Pairs of syllables that make one word, and must not stand on two lines.
const COMPOUNDS: [&str; 78] = [
    "cà phê",
    "trà sữa",
    "khai trương",
    "giảm giá",
    "miễn phí",
    "sinh nhật",
    "khuyến mãi",
    "khuyến mại",
    "ưu đãi",
    "cửa hàng",
    "nhà hàng",
    "quán ăn",
    "tuyển dụng",
    "nhân viên",
    "khách hàng",
    "sản phẩm",
    "dịch vụ",
    "chúc mừng",
    "năm mới",
    "trung thu",
    "giáng sinh",
    "hội thảo",
    "khóa học",
    "thời trang",
    "mùa hè",
    "mùa xuân",
    "mùa thu",
    "mùa đông",
    "cuối tuần",
    "cả tuần",
    "hôm nay",
    "việt nam",
    "hà nội",
    "sài gòn",
    "đà nẵng",
    "đà lạt",
    "trà đá",
    "bánh mì",
    "bánh ngọt",
    "âm nhạc",
    "du lịch",
    "thể thao",
    "công nghệ",
    "học bổng",
    "thứ bảy",
    "thứ hai",
    "chủ nhật",
    "yêu thương",
    "vận chuyển",
    "phục vụ",
    "thu ngân",
    "đơn hàng",
    "áp dụng",
    "toàn bộ",
    "tai nghe",
    "thiếu nhi",
    "quốc tế",
    "khai giảng",
    "học phí",
    "độc lập",
    "tự do",
    "hạnh phúc",
    "hành trình",
    "giày dép",
    "quần áo",
    "áo khoác",
    "diễn giả",
    "địa chỉ",
    "trung tâm",
    "cửa tiệm",
    "khởi hành",
    "chớp nhoáng",
    "thịnh vượng",
    "an khang",
    "kính mời",
    "trân trọng",
    "thông báo",
    "nghỉ lễ",
];

/// The text's words, where compounds, and numbers with what they count, are one.
fn bound(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let joined = pieces.last().is_some_and(|last| {
            let pair = format!("{last} {word}").to_lowercase();
            let pair = pair.trim_matches(|c: char| !c.is_alphanumeric());
            let binds_back = word.chars().count() == 1 && "%đ₫·–-/".contains(word);
            // Thousands may be grouped by spaces.
            let in_number = |c: char| c.is_ascii_digit() || " .,".contains(c);
            let is_number =
                last.chars().all(in_number) && last.ends_with(|c: char| c.is_ascii_digit());
            let binds_on = last == "&" || is_number;
            COMPOUNDS.contains(&pair) || binds_back || binds_on
        });
        match pieces.last_mut() {
            Some(last) if joined => {
                last.push(' ');
                last.push_str(word);
            }
            _ => pieces.push(word.to_owned()),
        }
    }
    pieces
}
