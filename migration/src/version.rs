//! Versions of the program, as numbers that can be compared.

/// The version of this program.
pub(crate) const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// Major, minor and patch; `None` for what is no version. What follows a hyphen or a plus sign is left out, so that a
/// pre-release counts as its release.
pub(crate) fn parse(text: &str) -> Option<[u64; 3]> {
    let core = text.split(['-', '+']).next()?;
    let mut numbers = core.split('.').map(|part| part.parse().ok());
    let version = [numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(parse("0.10.0") > parse("0.9.3"));
        assert_eq!(parse("1.2.3-rc.1"), Some([1, 2, 3]));
        for wrong in ["", "1", "1.2", "1.2.3.4", "a.b.c"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert!(parse(PROGRAM).is_some());
    }
}
