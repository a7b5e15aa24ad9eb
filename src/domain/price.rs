//! What a job costs, see docs/domain.md#flow. Credits are whole numbers; parts of one are rounded up.

use serde::{Deserialize, Serialize};

use super::{Checks, FeatureProperties, Flaw, JobInput, MediaType, feature::MAX_CREDITS};

const PIXELS: i64 = 1_000_000;

/// What a feature's jobs cost by their size and length, beside `cost_per_generation`. A number of 0 means "nothing".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Price {
    /// Credits of a request, whose jobs share them.
    #[serde(skip_serializing_if = "super::feature::is_zero")]
    pub base: i64,
    /// Credits of a second of video or sound; a length that is left open counts as the feature's longest.
    #[serde(skip_serializing_if = "super::feature::is_zero")]
    pub per_second: i64,
    /// Credits of 1,000,000 pixels of a picture, or of a frame of a video.
    #[serde(skip_serializing_if = "super::feature::is_zero")]
    pub per_megapixel: i64,
}

impl Price {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Without a category only the bounds are checked.
    pub(super) fn check(&self, category: Option<MediaType>, longest: i64, checks: &mut Checks) {
        for (field, number) in [
            ("properties.price.base", self.base),
            ("properties.price.per_second", self.per_second),
            ("properties.price.per_megapixel", self.per_megapixel),
        ] {
            checks.range(field, number, 0, MAX_CREDITS);
        }
        let is_timed = category != Some(MediaType::Image);
        let seconds = "properties.price.per_second";
        checks.require(is_timed || self.per_second == 0, seconds, || {
            Flaw::NotSupported.says("must be left out: an image has no duration")
        });
        let is_bounded = longest > 0 || self.per_second == 0;
        checks.require(!is_timed || is_bounded, seconds, || {
            let words =
                "needs max_duration_seconds, at which a length that is left open is charged";
            Flaw::Conflict.says(words)
        });
        let is_seen = category != Some(MediaType::Audio);
        let pixels = "properties.price.per_megapixel";
        checks.require(is_seen || self.per_megapixel == 0, pixels, || {
            Flaw::NotSupported.says("must be left out: sound has no size")
        });
    }
}

impl FeatureProperties {
    /// Credits that each of a request's `jobs` takes; they differ in nothing that has a price.
    pub(super) fn cost_of(&self, job: &JobInput, jobs: u32) -> i64 {
        let price = &self.price;
        let seconds = job.duration_seconds.map_or(self.max_duration, i64::from);
        let pixels = i64::from(job.width).saturating_mul(i64::from(job.height));
        let parts = [
            self.cost_per_generation,
            share(price.base, i64::from(jobs)),
            price.per_second.saturating_mul(seconds),
            share(price.per_megapixel.saturating_mul(pixels), PIXELS),
        ];
        parts.into_iter().fold(0, i64::saturating_add)
    }
}

/// One of so many equal parts, rounded up.
fn share(whole: i64, parts: i64) -> i64 {
    let parts = parts.max(1);
    whole / parts + i64::from(whole % parts > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn feature(cost: i64, [base, per_second, per_megapixel]: [i64; 3]) -> FeatureProperties {
        FeatureProperties {
            cost_per_generation: cost,
            max_duration: 60,
            price: Price {
                base,
                per_second,
                per_megapixel,
            },
            ..FeatureProperties::default()
        }
    }

    fn job(size: (u32, u32), seconds: Option<u32>) -> JobInput {
        let least = serde_json::json!({
            "provider": "", "prompt": "", "user_prompt": "", "seed": 0, "aspect_ratio": "",
            "width": size.0, "height": size.1, "duration_seconds": seconds,
        });
        serde_json::from_value(least).unwrap()
    }

    #[test]
    fn a_job_costs_its_share_its_length_and_its_size_rounded_up() {
        let of =
            |price, seconds, jobs| feature(7, price).cost_of(&job((1_920, 1_080), seconds), jobs);
        assert_eq!(of([0, 0, 0], Some(5), 3), 7);
        assert_eq!(of([10, 0, 0], Some(5), 3), 7 + 4);
        assert_eq!(of([0, 2, 0], Some(5), 3), 7 + 10);
        assert_eq!(of([0, 2, 0], None, 3), 7 + 120, "as long as it may be");
        assert_eq!(of([0, 0, 3], Some(5), 3), 7 + 7, "2.0736 megapixels");
        assert_eq!(of([1, 1, 1], Some(1), 1), 7 + 1 + 1 + 3);
    }

    #[test]
    fn a_price_of_what_there_is_not_is_refused_at_its_field() {
        let wrong = |category, longest, price| {
            let mut checks = Checks::default();
            feature(0, price)
                .price
                .check(Some(category), longest, &mut checks);
            let violations = checks.into_violations().into_iter();
            violations.map(|it| it.field).collect::<Vec<_>>()
        };
        let (seconds, pixels) = (
            "properties.price.per_second",
            "properties.price.per_megapixel",
        );
        assert_eq!(wrong(MediaType::Image, 60, [1, 1, 1]), [seconds]);
        assert_eq!(wrong(MediaType::Audio, 60, [1, 1, 1]), [pixels]);
        assert_eq!(wrong(MediaType::Video, 0, [1, 1, 1]), [seconds]);
        assert_eq!(wrong(MediaType::Video, 60, [1, 1, 1]), [""; 0]);
        let bounds = wrong(MediaType::Video, 60, [-1, MAX_CREDITS + 1, MAX_CREDITS]);
        assert_eq!(bounds, ["properties.price.base", seconds]);
    }

    proptest! {
        #[test]
        fn more_never_costs_less_and_the_jobs_cover_the_base(
            cost in 0..=MAX_CREDITS, base in 0..=MAX_CREDITS, per_second in 0..=MAX_CREDITS, per_megapixel in 0..=MAX_CREDITS,
            width in 0..7_680_u32, height in 0..7_680_u32, seconds in 0..86_400_u32, jobs in 1..1_000_u32,
        ) {
            let feature = feature(cost, [base, per_second, per_megapixel]);
            let costs = |width, seconds| feature.cost_of(&job((width, height), Some(seconds)), jobs);
            let this = costs(width, seconds);
            prop_assert!(this >= cost);
            prop_assert!(costs(width + 1, seconds) >= this && costs(width, seconds + 1) >= this);
            let together = this.checked_mul(i64::from(jobs));
            prop_assert!(together.is_some_and(|it| it >= base && it >= cost));
        }
    }
}
