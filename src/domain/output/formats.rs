//! The file formats of an output: the one that the provider makes, and those that it is converted to.

use codec::Format;

use crate::domain::{
    Checks, FeatureProperties, Flaw, MediaType,
    feature::{MAX_FORMATS, check_new, list},
};

use super::OutputSettings;

impl OutputSettings {
    /// The provider's format, and those that were asked for.
    pub(super) fn resolve_formats(
        &self,
        path: &str,
        properties: &FeatureProperties,
        category: MediaType,
        checks: &mut Checks,
    ) -> (Option<Format>, Vec<Format>) {
        let allowed = properties.formats(category);
        let mut wanted = Vec::new();
        if checks.count(&format!("{path}.formats"), self.formats.len(), MAX_FORMATS) {
            for (index, name) in self.formats.iter().enumerate() {
                let field = format!("{path}.formats[{index}]");
                let format = known_format(&field, name, &allowed, checks);
                check_new(format, &mut wanted, &field, checks);
            }
        }
        let format = match self.format() {
            None => wanted.first().or(allowed.first()).copied(),
            Some(name) => known_format(&format!("{path}.format"), name, &allowed, checks),
        };
        for (index, name) in self.formats.iter().enumerate() {
            let asked: Option<Format> = name.parse().ok();
            let made = asked.is_none() || asked == format || asked.is_some_and(Format::is_written);
            checks.require(made, &format!("{path}.formats[{index}]"), || {
                let names: Vec<_> = further_formats(&allowed)
                    .map(|format| format.to_string())
                    .collect();
                let words = format!(
                    "must be a format that others can be converted to: {}, got {name:?}",
                    list(&names)
                );
                Flaw::NotOneOf.says(words).allowed(names).found(name)
            });
        }
        let named = format.filter(|format| self.format().is_some() && !wanted.contains(format));
        wanted.extend(named);
        (format, wanted)
    }
}

fn known_format(
    field: &str,
    name: &str,
    allowed: &[Format],
    checks: &mut Checks,
) -> Option<Format> {
    let known = name.parse().ok().filter(|format| allowed.contains(format));
    checks.require(known.is_some(), field, || {
        let names: Vec<_> = allowed.iter().map(Format::to_string).collect();
        let words = format!(
            "must be one of the feature's formats: {}, got {name:?}",
            list(&names)
        );
        Flaw::NotOneOf.says(words).allowed(names).found(name)
    });
    known
}

/// Those of a feature's formats that every output can be converted to.
pub fn further_formats(allowed: &[Format]) -> impl Iterator<Item = Format> {
    allowed.iter().copied().filter(|format| format.is_written())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a video feature makes of the settings, as names, or the fields that are wrong.
    fn resolved(format: &str, formats: &[&str]) -> Result<(String, Vec<String>), Vec<String>> {
        let properties = FeatureProperties {
            formats: ["webm", "mp4", "gif"].map(str::to_owned).to_vec(),
            ..FeatureProperties::default()
        };
        let settings = OutputSettings {
            format: Some(format.to_owned()),
            formats: formats.iter().map(|name| (*name).to_owned()).collect(),
            ..OutputSettings::default()
        };
        let mut checks = Checks::default();
        let (first, asked) =
            settings.resolve_formats("output", &properties, MediaType::Video, &mut checks);
        let wrong: Vec<_> = checks
            .into_violations()
            .into_iter()
            .map(|v| v.field)
            .collect();
        if wrong.is_empty() {
            let first = first.map_or_else(String::new, |format| format.to_string());
            Ok((first, asked.iter().map(Format::to_string).collect()))
        } else {
            Err(wrong)
        }
    }

    #[test]
    fn the_provider_makes_the_format_or_else_the_first_and_the_others_are_converted() {
        let ok = |first: &str, asked: &[&str]| {
            Ok((
                first.to_owned(),
                asked.iter().map(|name| (*name).to_owned()).collect(),
            ))
        };
        assert_eq!(resolved("", &[]), ok("webm", &[]));
        assert_eq!(resolved("mp4", &[]), ok("mp4", &["mp4"]));
        assert_eq!(resolved("", &["gif", "MP4"]), ok("gif", &["gif", "mp4"]));
        assert_eq!(resolved("webm", &["gif"]), ok("webm", &["gif", "webm"]));
    }

    #[test]
    fn a_format_that_cannot_be_had_is_named() {
        let wrong = |field: &str| Err(vec![field.to_owned()]);
        assert_eq!(resolved("", &["mp4", "png"]), wrong("output.formats[1]"));
        assert_eq!(resolved("", &["mp4", "mp4"]), wrong("output.formats[1]"));
        assert_eq!(resolved("", &["mp4", "webm"]), wrong("output.formats[1]"));
        assert_eq!(resolved("webp", &["mp4"]), wrong("output.format"));
        assert_eq!(resolved("", &["gif"; 17]), wrong("output.formats"));
    }
}
