//! The names of stored objects.

use std::fmt;

use codec::Format;
use uuid::Uuid;

use crate::domain::{job::attempt_key, sha256_hex};

/// The first segment of every output's key: nothing else in a folder or bucket is ours to list,
/// serve or delete.
pub(super) const ROOT: &str = "jobs";
/// The same for what requests bring.
const INPUTS: &str = "inputs";
/// The same for what users give before there is a request.
const UPLOADS: &str = "uploads";
/// All that is ours.
pub(super) const ROOTS: [&str; 3] = [ROOT, INPUTS, UPLOADS];

/// What the names of uploads begin with that nobody has looked at yet.
const INCOMING: &str = "incoming-";
/// So much of a name tells an upload from every other of the same bytes.
const NONCE_LENGTH: usize = 15;

const GROUPS: std::ops::RangeInclusive<usize> = 3..=7;
const MAX_NAME_LENGTH: usize = 80;

/// Where an object lives and what it is served as: the one place that decides paths and content
/// types.
///
/// Paths look like `jobs/000/000/123/6f1ed002ab5595859014ebf0951522d9-0.png`: the job's number in
/// groups of three digits, so that no folder grows beyond a thousand entries, then a name that no
/// other attempt of the job shares. Only lower-case ASCII letters, digits, `-`, `.` and `/` occur,
/// so a path means the same on every file system and in every URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StorageKey {
    path: String,
    format: Format,
}

/// Whose an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// It is an output of this job.
    Job(i64),
    /// It is what this request brings.
    Request(i64),
    /// It is an upload of this user.
    User(i64),
}

/// A path that names none of our objects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the path of a stored object")]
pub struct InvalidKey(pub String);

impl StorageKey {
    /// The key of output number `index` of one attempt at a job.
    ///
    /// `lease_token` tells the attempts apart, so that a late attempt cannot replace what a later
    /// one has stored. It goes into the path as a digest, because paths are public and a lease
    /// token is not.
    pub fn for_output(job_id: i64, lease_token: &str, index: usize, format: Format) -> Self {
        let (folder, attempt) = (folder_of(Owner::Job(job_id)), attempt_key(lease_token));
        let path = format!("{folder}/{attempt}-{index}.{}", format.as_str());
        Self { path, format }
    }

    /// The key of what a request brings by a link, the same for all of its jobs. The link itself may
    /// be a secret.
    pub fn for_input(request_id: i64, link: &str, format: Format) -> Self {
        let (folder, name) = (folder_of(Owner::Request(request_id)), input_name(link));
        let path = format!("{folder}/{name}.{}", format.as_str());
        Self { path, format }
    }

    /// A key for an upload of a user with these bytes, which no other ever has, not even the same upload that is given again: so an
    /// object can be removed as soon as its row is. Where objects are published, nobody can tell from a file who has given it.
    pub fn for_upload(user_id: i64, sha256: &str, format: Format) -> Self {
        let mut nonce = Uuid::new_v4().simple().to_string();
        nonce.truncate(NONCE_LENGTH);
        let folder = id_folder(user_id);
        let path = format!("{UPLOADS}/{folder}/{sha256}-{nonce}.{}", format.as_str());
        Self { path, format }
    }

    /// Where a user puts an upload that nobody has looked at yet.
    pub fn for_incoming(user_id: i64, ticket: Uuid, format: Format) -> Self {
        let (folder, name) = (id_folder(user_id), ticket.simple());
        let path = format!("{UPLOADS}/{folder}/{INCOMING}{name}.{}", format.as_str());
        Self { path, format }
    }

    /// The upload that a link leads to, whatever stands before its path.
    pub fn of_upload(link: &str) -> Option<Self> {
        let at = link.rfind(UPLOADS)?;
        let key = Self::from_path(&link[at..]).ok()?;
        let (_, name) = key.folder_and_name();
        let is_upload = matches!(key.owner(), Owner::User(_)) && !name.starts_with(INCOMING);
        is_upload.then_some(key)
    }

    /// Reads the path that a URL or a row names.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] for everything that [`for_output`](Self::for_output) and [`for_input`](Self::for_input) would not write:
    /// absolute paths, `..`, other characters, other folders, unknown extensions.
    pub fn from_path(path: &str) -> Result<Self, InvalidKey> {
        let format = parse(path).ok_or_else(|| InvalidKey(path.to_owned()))?;
        Ok(Self {
            path: path.to_owned(),
            format,
        })
    }

    /// Whose it is.
    pub fn owner(&self) -> Owner {
        let (folder, _) = self.folder_and_name();
        let digits: String = folder.split('/').skip(1).collect();
        // More digits than a number has are nobody's.
        let id = digits.parse().unwrap_or(i64::MAX);
        match folder.split('/').next() {
            Some(INPUTS) => Owner::Request(id),
            Some(UPLOADS) => Owner::User(id),
            _ => Owner::Job(id),
        }
    }

    /// What the objects of one attempt have in common, and those of no other.
    pub fn attempt(&self) -> &str {
        let (_, name) = self.folder_and_name();
        name.split_once(['-', '.'])
            .map_or(name, |(attempt, _)| attempt)
    }

    fn folder_and_name(&self) -> (&str, &str) {
        self.path.rsplit_once('/').unwrap_or(("", &self.path))
    }

    /// The path inside the folder or bucket, without a leading slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The format that the extension stands for.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The `Content-Type` to serve the object with.
    pub fn content_type(&self) -> &'static str {
        self.format.content_type()
    }
}

impl fmt::Display for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

/// The folder of what is somebody's, and of nobody else.
pub(super) fn folder_of(owner: Owner) -> String {
    match owner {
        Owner::Job(id) => format!("{ROOT}/{}", id_folder(id)),
        Owner::Request(id) => format!("{INPUTS}/{}", id_folder(id)),
        Owner::User(id) => format!("{UPLOADS}/{}", id_folder(id)),
    }
}

/// The name of what a request brings by this link.
pub(super) fn input_name(link: &str) -> String {
    let mut name = sha256_hex(link.as_bytes());
    name.truncate(32);
    name
}

/// `123` becomes `000/000/123`; numbers of more than nine digits get more groups.
fn id_folder(id: i64) -> String {
    let digits = id.unsigned_abs().to_string();
    let width = digits.len().next_multiple_of(3).max(3 * GROUPS.start());
    let padded = format!("{digits:0>width$}");
    let groups: Vec<&str> = (0..width)
        .step_by(3)
        .map(|at| &padded[at..at + 3])
        .collect();
    groups.join("/")
}

fn parse(path: &str) -> Option<Format> {
    let (folder, file) = ROOTS
        .iter()
        .find_map(|root| path.strip_prefix(root))?
        .strip_prefix('/')?
        .rsplit_once('/')?;
    let (name, extension) = file.split_once('.')?;
    let is_group =
        |group: &str| group.len() == 3 && group.bytes().all(|byte| byte.is_ascii_digit());
    let is_ours = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let valid = GROUPS.contains(&folder.split('/').count())
        && folder.split('/').all(is_group)
        && (1..=MAX_NAME_LENGTH).contains(&name.len())
        && name.bytes().all(is_ours);
    let format = Format::ALL
        .into_iter()
        .find(|format| format.as_str() == extension);
    format.filter(|_| valid)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_format() -> impl Strategy<Value = Format> {
        prop::sample::select(Format::ALL.to_vec())
    }

    #[test]
    fn a_job_number_becomes_folders_of_three_digits() {
        let key = StorageKey::for_output(123, "a lease", 0, Format::Png);
        assert!(key.path().starts_with("jobs/000/000/123/"), "{key}");
        assert!(key.path().ends_with("-0.png"), "{key}");
        let key = StorageKey::for_output(1_234_567_890, "a lease", 1, Format::Jpg);
        assert!(key.path().starts_with("jobs/001/234/567/890/"), "{key}");
        assert_eq!(key.content_type(), "image/jpeg");
    }

    #[test]
    fn what_a_request_brings_by_a_link_has_one_place_that_does_not_tell_the_link() {
        let link = "https://a.example/x.png?key=secret";
        let key = StorageKey::for_input(123, link, Format::Png);
        assert!(key.path().starts_with("inputs/000/000/123/"), "{key}");
        assert_eq!(key.owner(), Owner::Request(123));
        assert_eq!(StorageKey::from_path(key.path()), Ok(key.clone()));
        assert!(!key.path().contains("secret"), "{key}");
        let other = StorageKey::for_input(123, "https://a.example/y.png", Format::Png);
        assert_ne!(key, other);
    }

    #[test]
    fn an_upload_is_found_in_its_link_and_the_same_one_given_again_is_another() {
        let sha256 = "ab".repeat(32);
        let key = StorageKey::for_upload(123, &sha256, Format::Jpg);
        assert!(key.path().starts_with("uploads/000/000/123/abab"), "{key}");
        assert_eq!(key.owner(), Owner::User(123));
        assert_ne!(key, StorageKey::for_upload(123, &sha256, Format::Jpg));
        let link = format!("https://cdn.example/uploads/media/{key}");
        assert_eq!(StorageKey::of_upload(&link), Some(key.clone()));
        assert_eq!(StorageKey::of_upload(&format!("{link}?a=b")), None);
        let incoming = StorageKey::for_incoming(123, Uuid::nil(), Format::Jpg);
        assert_eq!(StorageKey::from_path(incoming.path()), Ok(incoming.clone()));
        assert_eq!(incoming.owner(), Owner::User(123));
        assert_eq!(StorageKey::of_upload(incoming.path()), None);
        assert_eq!(StorageKey::of_upload("https://a.example/x.png"), None);
    }

    #[test]
    fn the_lease_token_cannot_be_read_from_the_path() {
        let token = "0190b4f1-7c00-7000-8000-000000000001";
        let key = StorageKey::for_output(1, token, 0, Format::Png);
        assert!(!key.path().contains(token), "{key}");
    }

    #[test]
    fn paths_that_are_not_ours_are_refused() {
        let refused = [
            "",
            "/",
            "jobs",
            "jobs/000/000/001",
            "/jobs/000/000/001/a-0.png",
            "jobs/000/000/001/../a-0.png",
            "jobs/../../../etc/passwd",
            "jobs/000/000/001/a-0.svg",
            "jobs/000/000/001/a-0.png.exe",
            "jobs/000/000/001/.png",
            "jobs/000/000/001/A-0.png",
            "jobs/000/000/001/a%2f0.png",
            "jobs/000/000/001/a-0.png#1",
            "jobs/000/000/001/a-0.png\0",
            "jobs/000/000/٠٠١/a-0.png",
            "jobs/000/001/a-0.png",
            "jobs//000/000/001/a-0.png",
            "jobs\\000\\000\\001\\a-0.png",
            ".signing-key",
        ];
        for path in refused {
            assert_eq!(
                StorageKey::from_path(path),
                Err(InvalidKey(path.to_owned()))
            );
        }
    }

    proptest! {
        #[test]
        fn every_key_reads_back_as_itself(
            job_id in 1..=i64::MAX, lease in ".*", index in 0..1000usize, format in any_format(),
        ) {
            let key = StorageKey::for_output(job_id, &lease, index, format);
            prop_assert_eq!(StorageKey::from_path(key.path()), Ok(key));
        }

        #[test]
        fn keys_of_other_jobs_attempts_or_outputs_differ(
            one in (1..=i64::MAX, ".*", 0..1000usize), other in (1..=i64::MAX, ".*", 0..1000usize),
        ) {
            prop_assume!(one != other);
            let key = |(job, lease, index): (i64, String, usize)| {
                StorageKey::for_output(job, &lease, index, Format::Png)
            };
            prop_assert_ne!(key(one), key(other));
        }

        #[test]
        fn whatever_is_accepted_stays_below_our_folder(
            path in "(jobs(/[0-9]{3}){2,4}|/?jobs)(/([.]{1,2}|000|[a-z0-9-]{0,5}|\\PC)){0,3}([.]png)?",
        ) {
            if let Ok(key) = StorageKey::from_path(&path) {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-./".contains(&byte);
                prop_assert_eq!(key.path(), &path);
                prop_assert!(path.starts_with("jobs/") && path.bytes().all(plain));
                prop_assert!(!path.split('/').any(|part| part.is_empty() || part.starts_with('.')));
            }
        }
    }
}
