//! Ratio and size of an output, of which each follows from the other, see docs/domain.md#resolving-a-request.

use super::{
    super::{AspectRatio, Checks, FeatureProperties, Flaw, MIN_SIDE, Resolution},
    OutputSettings,
};

/// Shorter side of an output when nothing asks for a size, in pixels.
const DEFAULT_SHORT_SIDE: u32 = 1_080;

impl OutputSettings {
    pub(super) fn refuse_size(
        &self,
        path: &str,
        checks: &mut Checks,
    ) -> (Option<AspectRatio>, (u32, u32)) {
        for (name, left_out) in [
            ("aspect_ratio", self.ratio().is_none()),
            ("width", self.given_size().0 == 0),
            ("height", self.given_size().1 == 0),
        ] {
            checks.require(left_out, &format!("{path}.{name}"), || {
                Flaw::NotSupported.says("must be left out: sound has no size")
            });
        }
        (None, (0, 0))
    }

    pub(super) fn resolve_size(
        &self,
        path: &str,
        properties: &FeatureProperties,
        checks: &mut Checks,
    ) -> (AspectRatio, (u32, u32)) {
        let allowed = properties.aspect_ratios();
        let ratio = self.resolve_ratio(&format!("{path}.aspect_ratio"), &allowed, checks);
        let given = self.given_size();
        if given == (0, 0) {
            let ratio = ratio
                .or(allowed.first().copied())
                .unwrap_or(AspectRatio::SQUARE);
            return (ratio, default_size(ratio, properties.resolution()));
        }
        let size = (side(given.0), side(given.1));
        for (name, given, side) in [("width", given.0, size.0), ("height", given.1, size.1)] {
            checks.require(side >= MIN_SIDE, &format!("{path}.{name}"), || {
                let words = format!(
                    "must be {MIN_SIDE} or more, and set together with the other side, got {given}"
                );
                Flaw::OutOfRange.says(words).min(MIN_SIDE).found(given)
            });
        }
        if size.0 < MIN_SIDE || size.1 < MIN_SIDE {
            return (AspectRatio::SQUARE, size);
        }
        let resolution = properties.resolution();
        checks.require(
            resolution.allows(size.0, size.1),
            &format!("{path}.width"),
            || {
                let found = format!("{}x{}", size.0, size.1);
                let words = format!("must stay within {resolution} pixels, got {found}");
                Flaw::OutOfRange.says(words).found(found)
            },
        );
        (
            self.ratio_of_size(path, size, ratio, &allowed, checks),
            size,
        )
    }

    fn resolve_ratio(
        &self,
        field: &str,
        allowed: &[AspectRatio],
        checks: &mut Checks,
    ) -> Option<AspectRatio> {
        let name = self.ratio()?;
        let ratio = name.parse::<AspectRatio>().ok();
        let fits = ratio.filter(|ratio| {
            if allowed.is_empty() {
                ratio.is_drawable()
            } else {
                allowed.contains(ratio)
            }
        });
        checks.require(fits.is_some(), field, || {
            let names: Vec<_> = allowed.iter().map(AspectRatio::to_string).collect();
            let expected = if names.is_empty() {
                "WIDTH:HEIGHT between 1:4 and 4:1".to_owned()
            } else {
                format!("one of the feature's: {}", names.join(", "))
            };
            let words = format!("must be {expected}, got {name:?}");
            Flaw::NotOneOf.says(words).allowed(names).found(name)
        });
        fits
    }

    fn ratio_of_size(
        &self,
        path: &str,
        (width, height): (u32, u32),
        ratio: Option<AspectRatio>,
        allowed: &[AspectRatio],
        checks: &mut Checks,
    ) -> AspectRatio {
        let field = format!("{path}.width");
        if let Some(ratio) = ratio {
            checks.require(ratio.fits(width, height), &field, || {
                let words = format!("must go with the aspect ratio {ratio}, got {width}x{height}");
                Flaw::Conflict
                    .says(words)
                    .found(format!("{width}x{height}"))
            });
            return ratio;
        }
        let own = AspectRatio::of_size(width, height);
        if let Some(named) = allowed
            .iter()
            .copied()
            .find(|ratio| ratio.fits(width, height))
        {
            return named;
        }
        checks.require(allowed.is_empty() && own.is_drawable(), &field, || {
            let found = format!("{width}x{height}");
            let words = format!("must give an aspect ratio that the feature supports, got {found}");
            Flaw::Conflict.says(words).allowed(allowed).found(found)
        });
        own
    }
}

/// A negative side becomes 0, which is refused as too small.
pub(super) fn side(pixels: i32) -> u32 {
    u32::try_from(pixels).unwrap_or(0)
}

/// The usual size of a ratio, made smaller where the feature allows no more.
pub(super) fn default_size(ratio: AspectRatio, most: Resolution) -> (u32, u32) {
    let start = DEFAULT_SHORT_SIDE.min(most.short_side());
    (MIN_SIDE..=start)
        .rev()
        .map(|short| ratio.size(short))
        .find(|(width, height)| most.allows(*width, *height))
        .unwrap_or_else(|| ratio.size(MIN_SIDE))
}
