//! `--out`: copies of the files under names that a person can read.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::{self, File, OpenOptions};

use super::GenerateError;
use super::report::Report;
use super::request::refused;
use crate::client::{Client, DownloadError};
use crate::domain::{FileName, MediaRole};

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
    let prompt = report.prompt().to_owned();
    for result in report.results_mut() {
        let name = FileName {
            prompt: &prompt,
            request_id: result.media.request_id,
            place: result.place,
            // A further format of it is called the same.
            role: MediaRole::Original,
        };
        let name = name.to_string();
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

#[cfg(test)]
mod tests {
    use super::*;

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
