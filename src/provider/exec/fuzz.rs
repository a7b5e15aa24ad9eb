//! What commands write, see [`crate::fuzzing`].

use super::progress::{Lines, parse};
use crate::domain::command::ProgressBy;

pub(in crate::provider) fn progress(bytes: &[u8]) {
    Lines::default().feed(bytes, |line| {
        for form in [ProgressBy::None, ProgressBy::Lines, ProgressBy::Ffmpeg] {
            let told = parse(form, line, Some(0));
            assert!(told.is_none_or(
                |progress| line.contains(&progress.message) || progress.message == "encoding"
            ));
        }
    });
}
