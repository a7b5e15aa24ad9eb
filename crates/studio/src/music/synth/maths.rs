//! Sine and exponential from additions and multiplications alone, which IEEE 754 defines to the last bit: the platform's
//! own differ between machines.

use std::f64::consts::{LN_2, TAU};

/// 1, 1/3!, 1/5! and so on with alternating signs: Taylor's series of the sine, exact to 1e-12 within a quarter turn.
const SINE: [f64; 8] = [
    1.0,
    -1.0 / 6.0,
    1.0 / 120.0,
    -1.0 / 5_040.0,
    1.0 / 362_880.0,
    -1.0 / 39_916_800.0,
    1.0 / 6_227_020_800.0,
    -1.0 / 1_307_674_368_000.0,
];
/// Terms of the exponential's series; enough for 1e-14 below ln 2.
const TERMS: u32 = 14;

/// The sine of an angle in turns.
pub(super) fn sine(turns: f64) -> f64 {
    let turns = turns - turns.floor();
    // Reflected into -1/4..=1/4, where the series is short.
    let folded = if turns > 0.75 {
        turns - 1.0
    } else if turns > 0.25 {
        0.5 - turns
    } else {
        turns
    };
    let x = folded * TAU;
    let square = x * x;
    let series = SINE.iter().rev().fold(0.0, |sum, term| sum * square + term);
    series * x
}

/// The cosine of an angle in turns.
pub(super) fn cosine(turns: f64) -> f64 {
    sine(turns + 0.25)
}

/// 2 to the power of `x`, for -1000 to 1000 and no further.
pub(in super::super) fn exp2(x: f64) -> f64 {
    let x = x.clamp(-1_000.0, 1_000.0);
    let whole = x.floor();
    let rest = (x - whole) * LN_2;
    let series = (1..=TERMS)
        .rev()
        .fold(1.0, |sum, term| 1.0 + sum * rest / f64::from(term));
    // The exponent of a double, biased by 1023 (IEEE 754, section 3.4).
    series * f64::from_bits(((whole as i64 + 1_023) as u64) << 52)
}

/// The factor for each sample by which a level falls by 60 dB in so many seconds.
pub(in super::super) fn decay(seconds: f64, rate: f64) -> f64 {
    exp2(-THOUSAND / (seconds * rate).max(1.0))
}

/// Binary logarithm of 1000, which is 60 dB.
const THOUSAND: f64 = 9.965_784_284_662_087;

/// The share of the way to its input that a low-pass of the first order goes in each sample.
pub(in super::super) fn low_pass(hertz: f64, rate: f64) -> f64 {
    const LOG2_E: f64 = std::f64::consts::LOG2_E;
    1.0 - exp2(-TAU * hertz / rate * LOG2_E)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_and_exponential_are_what_they_are_called() {
        for step in -400..400 {
            let turns = f64::from(step) / 90.0;
            assert!((sine(turns) - (turns * TAU).sin()).abs() < 1e-10, "{turns}");
            assert!((cosine(turns) - (turns * TAU).cos()).abs() < 1e-10);
            assert!((exp2(turns) / turns.exp2() - 1.0).abs() < 1e-12, "{turns}");
        }
        assert!(exp2(-5_000.0) > 0.0);
        assert!(exp2(5_000.0).is_finite());
    }

    #[test]
    fn a_decay_takes_its_time() {
        let factor = decay(0.5, 1_000.0);
        let level = (0..500).fold(1.0, |level: f64, _| level * factor);
        assert!((level - 0.001).abs() < 1e-9, "{level}");
    }
}
