//! Byte ranges of stored objects, and what a `Range` header asks of one.

use std::ops::Bound;

use object_store::GetRange;

/// The bytes from `start` up to, not including, `end`. An `end` beyond the object means its last
/// byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// Offset of the first byte.
    pub start: u64,
    /// Offset after the last byte.
    pub end: u64,
}

impl From<ByteRange> for GetRange {
    fn from(ByteRange { start, end }: ByteRange) -> Self {
        // Servers may count in signed numbers and refuse what does not fit.
        match end <= i64::MAX as u64 {
            true => Self::Bounded(start..end),
            false => Self::Offset(start),
        }
    }
}

/// The answer to a `Range` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRangeSelection {
    /// Send everything with `200 OK`: the header is malformed or asks for several ranges, which a
    /// server may ignore.
    Whole,
    /// Send these bytes with `206 Partial Content`.
    Part(ByteRange),
    /// Answer `416 Range Not Satisfiable`.
    Unsatisfiable,
}

/// What to send of an object of `total` bytes, by RFC 9110 section 14.
pub fn select(header: &headers::Range, total: u64) -> ByteRangeSelection {
    let mut ranges = header.satisfiable_ranges(total);
    match (ranges.next(), ranges.next()) {
        (Some((Bound::Included(start), end)), None) => select_one(start, end, total),
        _ => ByteRangeSelection::Whole,
    }
}

fn select_one(start: u64, end: Bound<u64>, total: u64) -> ByteRangeSelection {
    let end = match end {
        Bound::Included(last) if last < start => return ByteRangeSelection::Whole,
        Bound::Included(last) => last.saturating_add(1).min(total),
        Bound::Excluded(_) | Bound::Unbounded => total,
    };
    match start < end {
        true => ByteRangeSelection::Part(ByteRange { start, end }),
        false => ByteRangeSelection::Unsatisfiable,
    }
}

#[cfg(test)]
mod tests {
    use headers::{Header, HeaderValue};

    use super::*;

    fn selected(header: &str, total: u64) -> ByteRangeSelection {
        let value = HeaderValue::from_str(header).unwrap();
        select(
            &headers::Range::decode(&mut std::iter::once(&value)).unwrap(),
            total,
        )
    }

    fn part(start: u64, end: u64) -> ByteRangeSelection {
        ByteRangeSelection::Part(ByteRange { start, end })
    }

    #[test]
    fn a_single_range_selects_its_bytes() {
        assert_eq!(selected("bytes=0-0", 10), part(0, 1));
        assert_eq!(selected("bytes=2-5", 10), part(2, 6));
        assert_eq!(selected("bytes=7-", 10), part(7, 10));
        assert_eq!(selected("bytes=-3", 10), part(7, 10));
    }

    #[test]
    fn a_range_that_reaches_past_the_end_is_cut_there() {
        assert_eq!(selected("bytes=5-18446744073709551615", 10), part(5, 10));
    }

    #[test]
    fn a_range_that_starts_past_the_end_cannot_be_satisfied() {
        assert_eq!(selected("bytes=10-", 10), ByteRangeSelection::Unsatisfiable);
        assert_eq!(
            selected("bytes=11-12", 10),
            ByteRangeSelection::Unsatisfiable
        );
        assert_eq!(selected("bytes=-0", 10), ByteRangeSelection::Unsatisfiable);
        assert_eq!(selected("bytes=0-", 0), ByteRangeSelection::Unsatisfiable);
    }

    #[test]
    fn several_or_malformed_ranges_are_ignored() {
        for header in [
            "bytes=0-1,4-5",
            "bytes=5-2",
            "bytes=-",
            "bytes=x-y",
            "bytes=",
            "bytes=-11",
        ] {
            assert_eq!(selected(header, 10), ByteRangeSelection::Whole, "{header}");
        }
    }
}
