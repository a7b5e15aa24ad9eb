//! Logs of one line for each event, whatever words it has: a line break of a client's would make a line that nobody
//! logged, and an escape would reach the terminal.

use std::fmt::{self, Debug};
use std::io::{self, Write};

use tracing::field::Field;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;

use crate::domain::{is_printable, printable};

/// Writes a field of an event or a span, made printable.
pub(super) fn write_field(
    writer: &mut Writer<'_>,
    field: &Field,
    value: &dyn Debug,
) -> fmt::Result {
    if field.name() != "message" {
        write!(writer, "{}=", field.name())?;
    }
    writer.write_str(&printable(&format!("{value:?}")))
}

/// Escapes what JSON lets stand in a text, and a terminal or an editor would follow.
pub(super) struct Escaped<W>(pub W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Escaped<W> {
    type Writer = Escaped<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Escaped(self.0.make_writer())
    }
}

impl<W: Write> Write for Escaped<W> {
    /// Takes a whole event: that is how they come.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let mut escaped = String::with_capacity(event.len());
        for letter in String::from_utf8_lossy(event).chars() {
            match is_printable(letter) || letter == '\n' {
                true => escaped.push(letter),
                false => escaped.push_str(&format!("\\u{:04x}", u32::from(letter))),
            }
        }
        self.0.write_all(escaped.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::field::MakeExt;
    use tracing_subscriber::fmt::format::debug_fn;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(coloured: bool) -> String {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(coloured)
            .with_writer(move || writer.clone())
            .fmt_fields(debug_fn(write_field).delimited(" "))
            .finish();
        let words = "a\n2026 ERROR b\r\u{1b}[31mc\u{2028}d\u{9b}e\u{202e}";
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::error_span!("call", shown = %words, quoted = words);
            span.in_scope(|| tracing::error!(shown = %words, debug = ?words, "{words} é"));
        });
        let bytes = log.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_event_is_one_line_whatever_its_words_hold() {
        let text = logged(false);
        let line = text.strip_suffix('\n').unwrap();
        let breaks =
            |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{202e}');
        assert!(!line.contains(breaks), "{line:?}");
        assert!(line.ends_with("é shown=a\\n2026 ERROR b\\r\\u{1b}[31mc\\u{2028}d\\u{9b}e\\u{202e} debug=\"a\\n2026 ERROR b\\r\\u{1b}[31mc\\u{2028}d\\u{9b}e\\u{202e}\""), "{line:?}");
    }

    #[test]
    fn colours_are_the_log_s_own() {
        let text = logged(true);
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.contains("\u{1b}["), "{text:?}");
        assert!(!text.contains("\u{1b}[31mc"), "{text:?}");
    }
}
