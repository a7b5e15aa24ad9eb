//! What every command writes in the same way.

use std::error::Error;
use std::io::{self, ErrorKind, Write};

/// Writes `text` to standard output. A reader that has gone away, such as `head`, is no error.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes `error` with its causes in one line; there is nowhere to report a failure of that to.
pub fn complain(writer: &mut dyn Write, error: &dyn Error) {
    let _ = writeln!(writer, "error: {}", with_causes(error));
}

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
