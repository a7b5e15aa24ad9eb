//! Errors in one line: what went wrong, and why.

use std::error::Error;

/// The error's sentence followed by those of its causes. A cause that is already quoted is left out.
pub fn with_causes(error: &dyn Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !text.is_empty() && !sentence.contains(&text) {
            sentence.push_str(": ");
            sentence.push_str(&text);
        }
        cause = error.source();
    }
    sentence
}

/// Whether the error or one of its causes is an `E` of which this holds.
pub fn has_cause<E: Error + 'static>(
    error: &(dyn Error + 'static),
    holds: impl Fn(&E) -> bool,
) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref().is_some_and(&holds) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    fn layers(texts: &[&'static str]) -> Layer {
        let (text, rest) = texts
            .split_first()
            .map_or(("", &[][..]), |(text, rest)| (*text, rest));
        let source = (!rest.is_empty()).then(|| Box::new(layers(rest)));
        Layer { text, source }
    }

    #[test]
    fn the_causes_follow_in_one_line() {
        let error = layers(&[
            "the server could not start",
            "cannot open the database",
            "disk full",
        ]);
        assert_eq!(
            with_causes(&error),
            "the server could not start: cannot open the database: disk full"
        );
    }

    #[test]
    fn a_cause_is_not_said_twice() {
        let error = layers(&["cannot connect: refused", "refused"]);
        assert_eq!(with_causes(&error), "cannot connect: refused");
    }
}
