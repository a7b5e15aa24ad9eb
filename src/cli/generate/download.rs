//! `--out`: copies of the files under names that a person can read.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::{self, File, OpenOptions};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::GenerateError;
use super::report::Report;
use super::request::refused;
use crate::client::{Client, DownloadError};

/// The longest part of a prompt that a file name holds, in characters.
const NAME_CHARS: usize = 48;

/// Makes sure that files can be written to `folder`, before anything is made that would have to go there.
pub(super) async fn prepare(folder: &Path) -> Result<(), GenerateError> {
    fs::create_dir_all(folder).await.map_err(failed(folder))?;
    let attempt = async {
        let (_, path) = create_new(folder, ".atelier", "tmp").await?;
        fs::remove_file(path).await
    };
    attempt.await.map_err(failed(folder))
}

/// Downloads every result of `report` to `folder` and notes the paths in it, until `stop` gives a reason not to. Nothing is
/// overwritten.
pub(super) async fn all(
    client: &Client,
    report: &mut Report,
    folder: &Path,
    stop: impl Future<Output = GenerateError>,
) -> Result<(), GenerateError> {
    let mut stop = std::pin::pin!(stop);
    let stem = readable(report.prompt());
    for result in report.results_mut() {
        let name = format!("{stem}-{}-{}", result.media.request_id, result.place);
        let (mut file, path) = create_new(folder, &name, extension(&result.media.format))
            .await
            .map_err(failed(folder))?;
        let written = tokio::select! {
            written = download(client, result.media.id, &mut file) => written.map_err(|error| match error {
                DownloadError::Write(source) => failed(&path)(source),
                DownloadError::Refused(status) => refused("cannot download the file")(status),
                error @ DownloadError::Corrupt { .. } => error.into(),
            }),
            reason = &mut stop => Err(reason),
        };
        if written.is_err() {
            // Half a file under a good name would be taken for a whole one.
            let _ = fs::remove_file(&path).await;
        }
        written?;
        result.path = Some(path);
    }
    Ok(())
}

async fn download(client: &Client, id: i64, file: &mut File) -> Result<(), DownloadError> {
    client.download(id).await?.write_to(file).await?;
    Ok(())
}

fn failed(path: &Path) -> impl Fn(io::Error) -> GenerateError {
    let path = path.to_owned();
    move |source| GenerateError::Write {
        path: path.clone(),
        source,
    }
}

/// A file that was not there before: `name.extension`, or with a number behind the name.
async fn create_new(folder: &Path, name: &str, extension: &str) -> io::Result<(File, PathBuf)> {
    let mut number = 1_u32;
    loop {
        let suffix = if number == 1 {
            String::new()
        } else {
            format!("-{number}")
        };
        let path = folder.join(format!("{name}{suffix}.{extension}"));
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .await
        {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            opened => return opened.map(|file| (file, path)),
        }
    }
}

/// The format as the end of a file name; what another server says must not lead out of the folder.
fn extension(format: &str) -> &str {
    let is_plain = !format.is_empty() && format.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_plain { format } else { "bin" }
}

/// The words of a prompt in lower case with hyphens between them, cut after a whole word where possible.
fn readable(prompt: &str) -> String {
    let lower: String = prompt.to_lowercase().nfc().collect();
    let mut name = String::new();
    for word in lower
        .split(|letter: char| !letter.is_alphanumeric() && !is_combining_mark(letter))
        .map(|word| word.trim_start_matches(is_combining_mark))
        .filter(|word| !word.is_empty())
    {
        let separator = if name.is_empty() { "" } else { "-" };
        if name.chars().count() + separator.len() + word.chars().count() > NAME_CHARS {
            if name.is_empty() {
                name.extend(word.chars().take(NAME_CHARS));
            }
            break;
        }
        name.push_str(separator);
        name.push_str(word);
    }
    if name.is_empty() {
        "media".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_the_beginning_of_the_prompt() {
        assert_eq!(
            readable("Khai trương quán cà phê: giảm 50% cả tuần"),
            "khai-trương-quán-cà-phê-giảm-50-cả-tuần"
        );
        let decomposed = "Khai tru\u{31b}o\u{31b}ng: ca\u{300} phe\u{302} x\u{300}y";
        assert_eq!(readable(decomposed), "khai-trương-cà-phê-x\u{300}y");
        assert_eq!(readable("❤\u{fe0f}Tết ❤\u{fe0f}"), "tết");
        assert_eq!(readable("../../etc/passwd"), "etc-passwd");
        assert_eq!(readable("🎉 !!"), "media");
        assert_eq!(readable(&"đ".repeat(500)).chars().count(), NAME_CHARS);
        assert!(readable(&"lời chúc ".repeat(100)).ends_with("-lời"));
    }

    #[test]
    fn a_format_that_is_a_path_is_no_extension() {
        assert_eq!(extension("png"), "png");
        for format in ["", "/../../x", "png/..", "tar.gz"] {
            assert_eq!(extension(format), "bin", "{format}");
        }
    }

    #[tokio::test]
    async fn a_folder_is_made_and_left_empty_and_a_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        prepare(&below).await.unwrap();
        assert_eq!(std::fs::read_dir(&below).unwrap().count(), 0);
        let file = below.join("file");
        std::fs::write(&file, "").unwrap();
        let refused = prepare(&file).await.unwrap_err().to_string();
        assert_eq!(refused, format!("cannot write {}", file.display()));
    }

    #[tokio::test]
    async fn a_file_that_is_there_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let mut names = Vec::new();
        for _ in 0..3 {
            let (_, path) = create_new(folder.path(), "tea-1-1", "png").await.unwrap();
            names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
        assert_eq!(names, ["tea-1-1.png", "tea-1-1-2.png", "tea-1-1-3.png"]);
    }
}
