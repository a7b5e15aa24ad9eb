//! What every command writes, and asks, in the same way.

use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind, IsTerminal, Read, Write, stderr, stdin};
use std::path::Path;

use crate::domain::with_causes;

/// What was done is done, and cannot be shown.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(super) struct Unprinted(#[from] io::Error);

/// Writes `text` to standard output. A reader that has gone away, such as `head`, is no error.
pub(super) fn print(text: &str) -> Result<(), Unprinted> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes());
    printed(written.and_then(|()| stdout.flush()))
}

/// What came of writing to standard output.
pub(super) fn printed(written: io::Result<()>) -> Result<(), Unprinted> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Unprinted),
    }
}

/// Whether a file's name stands for standard input, or output.
pub(super) fn is_stream(file: &Path) -> bool {
    file == Path::new("-")
}

/// All that is in a file, or comes by standard input.
pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
    if !is_stream(file) {
        return fs::read(file);
    }
    let mut content = Vec::new();
    stdin().lock().read_to_end(&mut content)?;
    Ok(content)
}

/// Writes `error` with its causes in one line; there is nowhere to report a failure of that to.
pub(super) fn complain(writer: &mut dyn Write, error: &dyn Error) {
    let _ = writeln!(writer, "error: {}", with_causes(error));
}

/// Asks on the terminal.
pub(super) fn agreed() -> Result<bool, Box<dyn Error + Send + Sync>> {
    if !stdin().is_terminal() {
        return Err("there is no terminal to ask on: repeat it with --yes".into());
    }
    write!(stderr(), "Type yes to go on: ")?;
    stderr().flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

/// Lines of cells, each column as wide as its widest cell.
pub(super) fn table<const COLUMNS: usize>(lines: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| width(column).unwrap_or_default());
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text += "\n";
    }
    text
}

/// A size in bytes, for people.
pub(super) fn human_size(bytes: i64) -> String {
    const STEP: f64 = 1024.0;
    // A file's size is far below where a float loses whole bytes.
    let mut amount = bytes as f64;
    for unit in ["bytes", "KiB", "MiB"] {
        if amount < STEP {
            let digits = usize::from(unit != "bytes");
            return format!("{amount:.digits$} {unit}");
        }
        amount /= STEP;
    }
    format!("{amount:.1} GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_units_that_people_read() {
        assert_eq!(human_size(0), "0 bytes");
        assert_eq!(human_size(1023), "1023 bytes");
        assert_eq!(human_size(1536), "1.5 KiB");
        assert_eq!(human_size(64 << 20), "64.0 MiB");
        assert_eq!(human_size(3 << 30), "3.0 GiB");
    }
}
