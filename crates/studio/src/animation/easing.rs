//! How a movement begins and ends: the usual easing functions. All take and give 0 for its begin and 1 for its end.

use std::f32::consts::PI;

/// Fast at first, slow at the end.
pub(super) fn out_cubic(share: f32) -> f32 {
    1.0 - (1.0 - share).powi(3)
}

/// Slow at both ends.
pub(super) fn in_out_sine(share: f32) -> f32 {
    (1.0 - (PI * share).cos()) / 2.0
}

/// Goes a tenth past its end and comes back.
pub(super) fn out_back(share: f32) -> f32 {
    const OVERSHOOT: f32 = 1.701_58;
    let left = share - 1.0;
    1.0 + (OVERSHOOT + 1.0) * left.powi(3) + OVERSHOOT * left.powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_easing_begins_at_0_and_ends_at_1() {
        for ease in [out_cubic, in_out_sine, out_back] {
            assert!(ease(0.0).abs() < 1e-6);
            assert!((ease(1.0) - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn only_the_one_that_goes_back_passes_its_end() {
        let most = |ease: fn(f32) -> f32| {
            let steps = (0..=100).map(|step| ease(step as f32 / 100.0));
            steps.fold(f32::MIN, f32::max)
        };
        assert!(most(out_cubic) <= 1.0);
        assert!(most(in_out_sine) <= 1.0);
        assert!((1.05..1.15).contains(&most(out_back)));
    }
}
