//! The languages of the service's own sentences, and which of them a caller reads.

/// A language that the service speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "lowercase")]
pub enum Language {
    /// What is spoken unless another is asked for.
    #[default]
    En,
    /// Vietnamese.
    Vi,
}

/// A sentence in each [`Language`], in their order.
pub(super) type Wording = [&'static str; 2];

impl Language {
    /// Its tag, such as `en`.
    pub fn tag(self) -> &'static str {
        self.into()
    }

    /// The first that the service speaks of those that an `Accept-Language` (RFC 9110) asks for.
    pub fn accepted(header: &str) -> Self {
        let spoken = |tag: &str| {
            let primary = tag.split('-').next()?.to_ascii_lowercase();
            match primary.as_str() {
                "en" | "*" => Some(Self::En),
                "vi" => Some(Self::Vi),
                _ => None,
            }
        };
        by_quality(header)
            .into_iter()
            .find_map(spoken)
            .unwrap_or_default()
    }

    /// The sentence with a value in each of its `{places}`; `None` where one has none.
    pub(super) fn say(
        self,
        wording: Wording,
        value: impl Fn(&str) -> Option<String>,
    ) -> Option<String> {
        let mut parts = wording[self as usize].split(['{', '}']);
        let mut said = parts.next()?.to_owned();
        while let (Some(place), Some(text)) = (parts.next(), parts.next()) {
            said.push_str(&value(place)?);
            said.push_str(text);
        }
        Some(said)
    }
}

/// The tags of an `Accept-Language` (RFC 9110), those wanted most first; without those that are not wanted at all, and without
/// what is not well formed.
pub fn by_quality(header: &str) -> Vec<&str> {
    let mut tags: Vec<(f32, &str)> = Vec::new();
    for range in header.split(',') {
        let (tag, parameter) = range.split_once(';').unwrap_or((range, "q=1"));
        let quality = parameter.trim().strip_prefix("q=").map(str::parse);
        if let Some(Ok(quality)) = quality
            && (f32::MIN_POSITIVE..=1.0).contains(&quality)
        {
            tags.push((quality, tag.trim()));
        }
    }
    tags.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    tags.into_iter().map(|(_, tag)| tag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_wanted_most_of_those_spoken_is_accepted() {
        for (header, expected) in [
            ("", "en"),
            ("vi", "vi"),
            ("VI-vn", "vi"),
            ("fr-FR, vi;q=0.8, en;q=0.5", "vi"),
            ("en;q=0.5,vi;q=0.9", "vi"),
            ("vi;q=0, *", "en"),
            ("fr, *;q=0.1, vi;q=0.05", "en"),
            ("vi;q=x, ;;q=1,,", "en"),
            ("ja", "en"),
        ] {
            assert_eq!(Language::accepted(header).tag(), expected, "{header:?}");
        }
    }

    #[test]
    fn a_sentence_is_said_once_all_its_places_have_a_value() {
        let wording = ["from {min} to {max}.", "từ {min} đến {max}."];
        let known = |place: &str| Some(place.len().to_string());
        assert_eq!(Language::Vi.say(wording, known).unwrap(), "từ 3 đến 3.");
        let one = |place: &str| (place == "min").then(|| "1".to_owned());
        assert_eq!(Language::En.say(wording, one), None);
    }
}
