//! The mood that a prompt's words ask for, in Vietnamese and English.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use super::mood::Mood;

/// Words that turn the next phrase into its contrary, which says nothing of the mood wanted.
const NEGATIONS: [&str; 6] = ["không", "chẳng", "đừng", "not", "no", "without"];

const PHRASES: [(Mood, &str); 9] = [
    (
        Mood::Happy,
        "vui, vui vẻ, vui tươi, hạnh phúc, tươi sáng, yêu đời, rộn ràng, hân hoan, hài hước, happy, cheerful, joyful, \
         joy, upbeat, fun, bright, playful, sunny, smile",
    ),
    (
        Mood::Sad,
        "buồn, cô đơn, chia ly, chia tay, nhớ, nhớ nhung, u sầu, tiếc nuối, nước mắt, sad, melancholy, melancholic, \
         lonely, sorrow, grief, tearful, nostalgic, goodbye, heartbroken",
    ),
    (
        Mood::Calm,
        "thư giãn, nhẹ nhàng, yên bình, bình yên, êm đềm, êm dịu, thiền, ngủ, ru ngủ, spa, yoga, buổi sáng, sáng sớm, \
         chữa lành, tĩnh lặng, calm, relax, relaxing, relaxed, peaceful, peace, gentle, meditation, sleep, lullaby, \
         ambient, serene, quiet, soothing, morning",
    ),
    (
        Mood::Energetic,
        "sôi động, năng lượng, mạnh mẽ, thể thao, tập gym, gym, nhảy, tiệc, bùng nổ, cuồng nhiệt, energetic, energy, \
         dance, party, sport, sports, workout, powerful, driving, edm, techno, dynamic, exciting",
    ),
    (
        Mood::Cinematic,
        "hùng tráng, điện ảnh, sử thi, hoành tráng, kịch tính, phim, anh hùng, hào hùng, cinematic, epic, trailer, \
         dramatic, heroic, orchestral, film, movie, grand, inspiring, triumphant",
    ),
    (
        Mood::Festive,
        "tết, xuân, mùa xuân, năm mới, lễ hội, múa lân, hội làng, trung thu, dân gian, festival, tet, lunar new year, \
         new year, spring, festive, lion dance, folk",
    ),
    (
        Mood::Lofi,
        "học bài, cà phê, chill, mưa, ngày mưa, đêm khuya, đọc sách, lofi, lo fi, study, studying, coffee, cafe, café, \
         rain, rainy, jazz, jazzy, late night",
    ),
    (
        Mood::Romantic,
        "lãng mạn, tình yêu, yêu, đám cưới, cưới, ngọt ngào, hẹn hò, romantic, romance, love, wedding, tender, sweet, \
         valentine, anniversary",
    ),
    (
        Mood::Dark,
        "u ám, bí ẩn, rùng rợn, kinh dị, căng thẳng, đáng sợ, ma quái, dark, mysterious, mystery, tense, tension, \
         suspense, horror, scary, thriller, ominous, creepy",
    ),
];

/// The mood that most of the words speak for, the first named of equals; `None` when no word does.
///
/// The longest phrase counts: "yêu đời" is cheerful, though "yêu" alone is about love. Phrases of several words are known
/// without their marks too, which a single word is not: it may be another one.
pub(super) fn mood_of(prompt: &str) -> Option<Mood> {
    let words = words(prompt);
    let mut found: Vec<(Mood, usize)> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let Some((mood, length)) = longest(&words[at..]) else {
            at += 1;
            continue;
        };
        let negated = at > 0 && NEGATIONS.contains(&words[at - 1].as_str());
        if !negated {
            match found.iter_mut().find(|(known, _)| *known == mood) {
                Some((_, count)) => *count += 1,
                None => found.push((mood, 1)),
            }
        }
        at += length;
    }
    let most = found.iter().map(|(_, count)| *count).max()?;
    let first = found.iter().find(|(_, count)| *count == most)?;
    Some(first.0)
}

/// The mood and the number of words of the longest phrase that the text begins with.
fn longest(text: &[String]) -> Option<(Mood, usize)> {
    let phrases = PHRASES
        .iter()
        .flat_map(|(mood, list)| list.split(", ").map(|phrase| (*mood, phrase)));
    phrases
        .filter_map(|(mood, phrase)| Some((mood, begins(text, phrase)?)))
        .max_by_key(|(_, length)| *length)
}

/// How many words the phrase has, if the text begins with them.
fn begins(text: &[String], phrase: &str) -> Option<usize> {
    let length = phrase.split(' ').count();
    let same = |word: &String, wanted: &str| {
        word == wanted || (length > 1 && word.is_ascii() && *word == unmarked(wanted))
    };
    let matches =
        text.len() >= length && text.iter().zip(phrase.split(' ')).all(|(a, b)| same(a, b));
    matches.then_some(length)
}

fn words(text: &str) -> Vec<String> {
    let lower: String = text.to_lowercase().nfc().collect();
    lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The word as one types it without a Vietnamese keyboard.
fn unmarked(word: &str) -> String {
    word.nfd()
        .filter(|c| !is_combining_mark(*c))
        .map(|c| if c == 'đ' { 'd' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_understood_in_vietnamese_and_english() {
        for (prompt, mood) in [
            ("Nhạc vui cho quảng cáo trà sữa", Mood::Happy),
            ("Một chiều BUỒN, nhớ mẹ", Mood::Sad),
            ("nhạc thư giãn buổi sáng", Mood::Calm),
            ("nhac thu gian", Mood::Calm),
            ("Energetic workout for a gym", Mood::Energetic),
            ("sôi động", Mood::Energetic),
            ("Chúc mừng năm mới, Tết đến rồi", Mood::Festive),
            ("An epic, cinematic trailer", Mood::Cinematic),
            ("lo-fi beats to study to", Mood::Lofi),
            ("Nhạc đám cưới lãng mạn", Mood::Romantic),
            ("a scary, dark forest", Mood::Dark),
        ] {
            assert_eq!(mood_of(prompt), Some(mood), "{prompt}");
        }
    }

    #[test]
    fn the_longest_phrase_counts_and_a_negated_one_does_not() {
        assert_eq!(mood_of("yêu đời"), Some(Mood::Happy));
        assert_eq!(mood_of("yêu"), Some(Mood::Romantic));
        assert_eq!(mood_of("không buồn, chỉ lãng mạn"), Some(Mood::Romantic));
        assert_eq!(mood_of("not sad"), None);
    }

    #[test]
    fn words_that_say_nothing_of_a_mood_give_none() {
        for prompt in ["", "🎉", "Quán số 7", "mua 1 tang 1", "vuivui"] {
            assert_eq!(mood_of(prompt), None, "{prompt}");
        }
    }

    #[test]
    fn decomposed_letters_are_the_same_words() {
        let decomposed: String = "thư giãn".nfd().collect();
        assert_eq!(mood_of(&decomposed), Some(Mood::Calm));
    }
}
