//! Durations and sizes as people write them.

use std::time::Duration;

use super::kind::{Kind, Literal, quote};

/// Units of time in milliseconds, the largest first.
const TIME_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Units of size in bytes, binary ones first because sizes print in them.
const SIZE_UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl Kind for Duration {
    type Value = Self;
    const NAME: &'static str = "duration";

    fn read(literal: &Literal) -> Result<Self, String> {
        match literal {
            Literal::Text(text) => parse(text, &TIME_UNITS),
            _ => None,
        }
        .filter(|milliseconds| *milliseconds > 0)
        .map(Self::from_millis)
        .ok_or_else(|| {
            r#"a duration above 0 with its unit, such as "500ms", "30s", "10m" or "24h""#.to_owned()
        })
    }

    fn write(value: &Self) -> Option<String> {
        Some(quote(&format_duration(*value)))
    }
}

/// How long something is kept: a duration, or 0 for ever.
pub(super) struct Period;

/// The bounds of the periods of plans: what is longer than fifty years is for ever.
pub(super) const PERIODS: (&str, &str) = ("0", "\"18250d\"");

impl Kind for Period {
    type Value = Duration;
    const NAME: &'static str = "duration";

    fn read(literal: &Literal) -> Result<Duration, String> {
        match literal {
            Literal::Integer(0) => Some(Duration::ZERO),
            Literal::Text(text) if text.trim() == "0" => Some(Duration::ZERO),
            Literal::Text(text) => parse(text, &TIME_UNITS).map(Duration::from_millis),
            _ => None,
        }
        .ok_or_else(|| r#"a duration with its unit, such as "30d", or 0 for ever"#.to_owned())
    }

    fn write(value: &Duration) -> Option<String> {
        match value.is_zero() {
            true => Some("0".to_owned()),
            false => Duration::write(value),
        }
    }
}

/// A size in bytes, written as an integer or with a unit.
pub(super) struct ByteSize;

impl Kind for ByteSize {
    type Value = u64;
    const NAME: &'static str = "size";

    fn read(literal: &Literal) -> Result<u64, String> {
        match literal {
            Literal::Text(text) => parse(text, &SIZE_UNITS),
            Literal::Integer(bytes) => u64::try_from(*bytes).ok(),
            _ => None,
        }
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| r#"a size such as "256MiB", or a number of bytes"#.to_owned())
    }

    fn write(value: &u64) -> Option<String> {
        let (unit, factor) = largest_unit(*value, &SIZE_UNITS[..3]).unwrap_or(("B", 1));
        Some(quote(&format!("{}{unit}", value / factor)))
    }
}

/// A duration in the largest unit that states it exactly, such as `90s` or `2m`; below a millisecond is cut off.
pub fn format_duration(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, factor) = largest_unit(milliseconds, &TIME_UNITS).unwrap_or(("ms", 1));
    format!("{}{unit}", milliseconds / factor)
}

/// A duration as a person writes it; the error says what was expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    Duration::read(&Literal::Text(text.to_owned()))
}

fn largest_unit(amount: u64, units: &[(&'static str, u64)]) -> Option<(&'static str, u64)> {
    units
        .iter()
        .copied()
        .find(|(_, factor)| amount > 0 && amount.is_multiple_of(*factor))
}

/// The amount of `<digits><unit>`, with or without a space between them.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (digits, unit) = text.split_at(split);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_every_unit() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("10m", 600_000),
            ("24h", 86_400_000),
            ("7 d", 604_800_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_duration_needs_a_number_a_known_unit_and_more_than_zero() {
        for text in [
            "",
            "10",
            "s",
            "1.5s",
            "-1s",
            "10 weeks",
            "0s",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_period_is_a_duration_or_zero_for_ever() {
        for (literal, seconds) in [
            (Literal::Integer(0), 0),
            (Literal::Text("0".into()), 0),
            (Literal::Text("0d".into()), 0),
            (Literal::Text("90d".into()), 90 * 86_400),
        ] {
            let period = Period::read(&literal).unwrap();
            assert_eq!(period, Duration::from_secs(seconds), "{literal:?}");
            let written = Literal::parse(&Period::write(&period).unwrap()).unwrap();
            assert_eq!(Period::read(&written), Ok(period));
        }
        for literal in [Literal::Integer(30), Literal::Text("30".into())] {
            assert!(Period::read(&literal).is_err(), "{literal:?}");
        }
    }

    #[test]
    fn sizes_are_read_with_binary_and_decimal_units_or_as_bytes() {
        for (literal, bytes) in [
            (Literal::Text("256MiB".into()), 256 << 20),
            (Literal::Text("64 kB".into()), 64_000),
            (Literal::Text("12B".into()), 12),
            (Literal::Integer(4096), 4096),
        ] {
            assert_eq!(ByteSize::read(&literal), Ok(bytes), "{literal:?}");
        }
        for literal in [
            Literal::Text("12".into()),
            Literal::Text("1 MiBs".into()),
            Literal::Integer(-1),
        ] {
            assert!(ByteSize::read(&literal).is_err(), "{literal:?}");
        }
    }

    #[test]
    fn what_is_printed_is_read_back_as_the_same_amount() {
        for milliseconds in [1, 999, 1_000, 90_000, 120_000, 86_400_000] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
        for bytes in [1_u64, 1_000, 1_024, 3 << 20, (1 << 30) + 1] {
            let literal = Literal::parse(&ByteSize::write(&bytes).unwrap()).unwrap();
            assert_eq!(ByteSize::read(&literal), Ok(bytes));
        }
    }
}
