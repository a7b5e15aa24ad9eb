//! How much of their files users may keep here, and whether what came is what was said, see docs/uploads.md.

use super::{Error, MediaType};

/// What a user has here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UploadsKept {
    /// How many files.
    pub files: u64,
    /// Their bytes in all.
    pub bytes: u64,
}

/// What users may give.
#[derive(Clone, Debug)]
pub struct UploadLimits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Files that a user keeps at once.
    pub files: u64,
    /// Bytes that a user keeps in all.
    pub bytes: u64,
    /// What may be in a file.
    pub types: Vec<MediaType>,
}

/// What is said of a file before it comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// Whose it will be.
    pub user_id: i64,
    /// As the user calls it; empty if not said.
    pub file_name: String,
    /// Bytes.
    pub file_size: Option<u64>,
    /// 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
}

impl UploadLimits {
    /// Checks the size of a file, before it has come or while it comes.
    ///
    /// # Errors
    /// [`Error::UploadTooLarge`].
    pub fn check_size(&self, bytes: u64) -> Result<(), Error> {
        match bytes <= self.file_bytes {
            true => Ok(()),
            false => Err(Error::UploadTooLarge {
                max: self.file_bytes,
            }),
        }
    }

    /// Checks that a user who has so much here may keep another file.
    ///
    /// # Errors
    /// [`Error::UploadsFull`].
    pub fn check_room(&self, user_id: i64, kept: UploadsKept, bytes: u64) -> Result<(), Error> {
        let full = |limit, most| {
            Err(Error::UploadsFull {
                user_id,
                limit,
                most,
            })
        };
        if kept.files >= self.files {
            return full("files", self.files);
        }
        match kept.bytes.saturating_add(bytes) <= self.bytes {
            true => Ok(()),
            false => full("bytes", self.bytes),
        }
    }
}

impl Announced {
    /// Checks what has come against what was said of it.
    ///
    /// # Errors
    /// [`Error::UploadMismatch`].
    pub fn check(&self, file_size: u64, sha256: &str) -> Result<(), Error> {
        if let Some(said) = self.file_size.filter(|said| *said != file_size) {
            return Err(Error::UploadMismatch {
                field: "file_size",
                said: said.to_string(),
                found: file_size.to_string(),
            });
        }
        match self.sha256.as_deref() {
            Some(said) if said != sha256 => Err(Error::UploadMismatch {
                field: "sha256",
                said: said.to_owned(),
                found: sha256.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Checks, while it comes, that it does not have more bytes than was said.
    ///
    /// # Errors
    /// [`Error::UploadMismatch`].
    pub fn check_so_far(&self, bytes: u64) -> Result<(), Error> {
        match self.file_size {
            Some(said) if bytes > said => Err(Error::UploadMismatch {
                field: "file_size",
                said: said.to_string(),
                found: format!("more than {said}"),
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> UploadLimits {
        UploadLimits {
            file_bytes: 10,
            files: 2,
            bytes: 15,
            types: vec![MediaType::Image],
        }
    }

    #[test]
    fn a_file_may_be_as_large_as_the_limit_and_no_larger() {
        assert!(limits().check_size(10).is_ok());
        let refused = limits().check_size(11).unwrap_err();
        assert!(matches!(refused, Error::UploadTooLarge { max: 10 }));
    }

    #[test]
    fn a_user_keeps_as_many_files_and_bytes_as_the_limits() {
        let room = |files, bytes, more| limits().check_room(7, UploadsKept { files, bytes }, more);
        assert!(room(1, 5, 10).is_ok());
        let limit = |refused: Result<(), Error>| match refused.unwrap_err() {
            Error::UploadsFull { limit, most, .. } => (limit, most),
            error => panic!("{error}"),
        };
        assert_eq!(limit(room(2, 0, 1)), ("files", 2));
        assert_eq!(limit(room(1, 6, 10)), ("bytes", 15));
        assert_eq!(limit(room(1, u64::MAX, 10)), ("bytes", 15));
    }

    #[test]
    fn what_comes_is_what_was_said() {
        let said = Announced {
            file_size: Some(3),
            sha256: Some("ab".to_owned()),
            ..Announced::default()
        };
        assert!(said.check(3, "ab").is_ok());
        let field = |refused: Result<(), Error>| match refused.unwrap_err() {
            Error::UploadMismatch { field, .. } => field,
            error => panic!("{error}"),
        };
        assert_eq!(field(said.check(2, "ab")), "file_size");
        assert_eq!(field(said.check(3, "cd")), "sha256");
        assert!(said.check_so_far(3).is_ok());
        assert_eq!(field(said.check_so_far(4)), "file_size");
        assert!(Announced::default().check(9, "xy").is_ok());
    }
}
