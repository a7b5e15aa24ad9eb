//! In which languages the caller reads, and which of those that there are suits best.

use tonic::metadata::MetadataMap;

use crate::domain::{Checks, Flaw, by_quality, is_language};

/// More than any person reads.
const MAX_LANGUAGES: usize = 32;

/// Languages (BCP 47), the best first.
#[derive(Debug, Default)]
pub(super) struct Languages(Vec<String>);

impl Languages {
    /// Those of the metadata `accept-language` (RFC 9110). What is not well formed in it is passed over.
    pub(super) fn of(metadata: &MetadataMap) -> Self {
        let header = metadata.get("accept-language");
        let header = header
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let accepted = by_quality(header).into_iter();
        let tags = accepted.filter(|tag| *tag == "*" || is_language(tag));
        Self(tags.take(MAX_LANGUAGES).map(str::to_owned).collect())
    }

    /// The one that a message asks for, by which none stands for the original, or else those of the metadata.
    pub(super) fn asked_for(
        language: Option<&str>,
        metadata: &MetadataMap,
        checks: &mut Checks,
    ) -> Self {
        let Some(language) = language else {
            return Self::of(metadata);
        };
        checks.require(
            language.is_empty() || is_language(language),
            "language",
            || Flaw::Malformed.says("must be a BCP 47 tag, such as \"vi\" or \"pt-BR\", or empty"),
        );
        Self(vec![language.to_owned()])
    }

    /// The one of these that suits best (RFC 4647, lookup): `vi-VN` finds `vi`, and `vi` finds `vi-VN` where there is no `vi`.
    pub(super) fn best<'a>(
        &self,
        offered: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<&'a str> {
        self.0
            .iter()
            .map_while(|wanted| (wanted != "*").then_some(wanted))
            .find_map(|wanted| find(wanted, offered.clone()))
    }
}

fn find<'a>(wanted: &str, offered: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let mut ends = wanted.rmatch_indices('-').map(|(end, _)| end);
    let shorter = std::iter::once(wanted.len()).chain(&mut ends);
    let lookup = shorter.map(|end| &wanted[..end]).find_map(|tag| {
        let mut offered = offered.clone();
        offered.find(|offer| offer.eq_ignore_ascii_case(tag))
    });
    let is_kind_of_wanted = |offer: &&str| {
        let kind = offer.get(..wanted.len());
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case(wanted))
            && offer[wanted.len()..].starts_with('-')
    };
    lookup.or_else(|| offered.clone().find(is_kind_of_wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_suits_best_is_found_by_quality_and_by_what_it_is_a_kind_of() {
        for (header, best) in [
            ("vi", Some("vi")),
            ("vi-VN,vi;q=0.9,en-US;q=0.8,en;q=0.7", Some("vi")),
            ("fr, en;q=0.5, VI;q=0.6", Some("vi")),
            ("en-US,vi;q=0.9", Some("en")),
            ("pt", Some("pt-BR")),
            ("pt-PT", None),
            ("vi;q=0, en;q=0.001", Some("en")),
            ("*, vi;q=0.5", None),
            ("vi;q=2, ;;, é, en;level=1", None),
            ("", None),
        ] {
            let mut metadata = MetadataMap::new();
            if let Ok(value) = header.parse() {
                metadata.insert("accept-language", value);
            }
            let languages = Languages::of(&metadata);
            let offered = ["en", "vi", "pt-BR"];
            assert_eq!(languages.best(offered.into_iter()), best, "{header}");
        }
    }
}
