//! Public links to media: what a link is, and what it sends, see docs/sharing.md.

use std::ops::Range;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Checks, Flaw, is_printable, sha256_hex};

/// Most characters of a title.
const MAX_TITLE_CHARS: usize = 200;
/// Bytes of what a link is known by.
const TOKEN_BYTES: usize = 24;

/// What a link is known by: whoever has it sees what is shared. It has no debug output.
pub struct ShareToken(String);

impl ShareToken {
    /// The one of these bytes, which nobody can guess if they are random.
    pub fn of(bytes: [u8; TOKEN_BYTES]) -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The one that stands in a path; `None` for what cannot be one.
    pub fn read(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == TOKEN_BYTES).then(|| Self(text.to_owned()))
    }

    /// As it stands in the link.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }
}

/// What a link is asked for with.
#[derive(Clone, Debug, Default)]
pub struct ShareDraft {
    /// The media to be shown.
    pub media_id: i64,
    /// In the owner's words; empty for the usual one.
    pub title: String,
    /// Pixels on the longest side; `None` for the media itself.
    pub max_size: Option<i32>,
    /// Whether recipe and other metadata stay in the files.
    pub show_recipe: bool,
    /// From when on it leads nowhere.
    pub expires_at: Option<DateTime<Utc>>,
}

impl ShareDraft {
    /// Notes what may not be.
    pub fn check(&self, now: DateTime<Utc>, checks: &mut Checks) {
        checks.line("title", &self.title, MAX_TITLE_CHARS);
        // It stands among words of others, in previews of any site.
        let is_odd = |letter: &char| !is_printable(*letter) && !letter.is_control();
        if let Some(odd) = self.title.chars().find(is_odd).map(u32::from) {
            let words = format!(
                "must not contain separators of lines or controls of the direction of writing, has U+{odd:04X}"
            );
            checks.add("title", Flaw::Malformed.says(words));
        }
        let is_to_come = self.expires_at.is_none_or(|at| at > now);
        checks.require(is_to_come, "expire_time", || {
            Flaw::OutOfRange.says("must lie in the future")
        });
    }
}

/// What a link sends, as it was when the link was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedFiles {
    /// What is shown or played.
    pub file: SharedFile,
    /// The picture that stands for it, where it is none itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poster: Option<SharedFile>,
}

/// A media's file, less what is not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedFile {
    /// Whose file it is.
    pub media_id: i64,
    /// The SHA-256 of that file as it is stored.
    pub stored_sha256: String,
    /// Its bytes as it is stored.
    pub stored_size: u64,
    /// The SHA-256 of what is sent.
    pub sha256: String,
    /// Bytes that are sent.
    pub size: u64,
    /// What is left out of it, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cuts: Vec<Cut>,
}

/// A part of a stored file that is not sent, and what is in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The part.
    pub range: Range<u64>,
    /// What is sent instead, first these bytes,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<u8>,
    /// then so many that are 0.
    #[serde(default)]
    pub zeros: u64,
}

/// A part of what is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes of the stored file.
    Stored(Range<u64>),
    /// These bytes.
    Given(Vec<u8>),
    /// So many bytes that are 0.
    Zeros(u64),
}

impl SharedFile {
    /// A file as it is stored.
    pub fn whole(media_id: i64, content: &[u8]) -> Self {
        let sha256 = sha256_hex(content);
        let size = content.len() as u64;
        Self {
            media_id,
            stored_sha256: sha256.clone(),
            stored_size: size,
            sha256,
            size,
            cuts: Vec::new(),
        }
    }

    /// The same with these cuts, which make of it what is sent.
    #[must_use]
    pub fn cut(self, cuts: Vec<Cut>, sent: &[u8]) -> Self {
        Self {
            sha256: sha256_hex(sent),
            size: sent.len() as u64,
            cuts,
            ..self
        }
    }

    /// What makes up these bytes of what is sent, in order.
    pub fn pieces(&self, wanted: Range<u64>) -> Vec<Piece> {
        let mut at = 0;
        let within = |piece: Piece| {
            let (begin, end) = (at, at + piece.length());
            at = end;
            let part = wanted.start.max(begin)..wanted.end.min(end);
            (part.start < part.end).then(|| piece.part(part.start - begin..part.end - begin))
        };
        self.all_pieces().into_iter().filter_map(within).collect()
    }

    fn all_pieces(&self) -> Vec<Piece> {
        let (mut pieces, mut done) = (Vec::new(), 0);
        for cut in &self.cuts {
            pieces.push(Piece::Stored(done..cut.range.start));
            pieces.push(Piece::Given(cut.with.clone()));
            pieces.push(Piece::Zeros(cut.zeros));
            done = cut.range.end;
        }
        pieces.push(Piece::Stored(done..self.stored_size));
        pieces
    }
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Self::Stored(range) => range.end.saturating_sub(range.start),
            Self::Given(bytes) => bytes.len() as u64,
            Self::Zeros(number) => *number,
        }
    }

    /// A part of it, which it has.
    fn part(self, part: Range<u64>) -> Self {
        match self {
            Self::Stored(range) => Self::Stored(range.start + part.start..range.start + part.end),
            Self::Given(bytes) => {
                let kept = bytes.into_iter().skip(part.start as usize);
                Self::Given(kept.take((part.end - part.start) as usize).collect())
            }
            Self::Zeros(_) => Self::Zeros(part.end - part.start),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(range: Range<u64>, with: &[u8], zeros: u64) -> Cut {
        let with = with.to_vec();
        Cut { range, with, zeros }
    }

    fn file(content: &[u8], cuts: Vec<Cut>) -> (SharedFile, Vec<u8>) {
        let (mut whole, mut done) = (Vec::new(), 0);
        for cut in &cuts {
            whole.extend(&content[done..cut.range.start as usize]);
            whole.extend(&cut.with);
            whole.extend(vec![0; cut.zeros as usize]);
            done = cut.range.end as usize;
        }
        whole.extend(&content[done..]);
        (SharedFile::whole(7, content).cut(cuts, &whole), whole)
    }

    fn sent(file: &SharedFile, content: &[u8], wanted: Range<u64>) -> Vec<u8> {
        let bytes = |piece| match piece {
            Piece::Stored(range) => content[range.start as usize..range.end as usize].to_vec(),
            Piece::Given(bytes) => bytes,
            Piece::Zeros(number) => vec![0; number as usize],
        };
        file.pieces(wanted).into_iter().flat_map(bytes).collect()
    }

    #[test]
    fn a_token_is_long_fits_into_a_path_and_is_read_as_it_is_written() {
        let token = ShareToken::of([0xFB; TOKEN_BYTES]);
        assert_eq!(token.as_str().len(), 32);
        let read = ShareToken::read(token.as_str()).unwrap();
        assert_eq!(read.hash(), token.hash());
        assert_ne!(ShareToken::of([0; TOKEN_BYTES]).hash(), token.hash());
        let longer = format!("{}AAAA", token.as_str());
        for other in [
            "",
            "x",
            &token.as_str()[1..],
            &longer,
            "../../../../etc/passwd?aaaaaaaaa",
        ] {
            assert!(ShareToken::read(other).is_none(), "{other}");
        }
    }

    #[test]
    fn files_are_read_as_they_are_stored() {
        let content = b"0123456789";
        let (file, _) = file(content, vec![cut(2..4, b"ab", 3)]);
        let poster = Some(SharedFile::whole(8, content));
        let files = SharedFiles { file, poster };
        let stored = serde_json::to_value(&files).unwrap();
        assert_eq!(
            serde_json::from_value::<SharedFiles>(stored).unwrap(),
            files
        );
    }

    proptest! {
        #[test]
        fn any_part_of_what_is_sent_is_that_part_of_the_cut_file(
            parts in prop::collection::vec((0..20_u64, 0..20_u64, prop::collection::vec(any::<u8>(), 0..4), 0..9_u64), 0..6),
            from in 0..200_u64, length in 0..200_u64,
        ) {
            let content: Vec<u8> = (0..=255).collect();
            let mut at = 0;
            let cuts = parts.into_iter().map(|(skip, length, with, zeros)| {
                let range = at + skip..at + skip + length;
                at = range.end;
                cut(range, &with, zeros)
            });
            let cuts: Vec<_> = cuts.collect();
            let (file, whole) = file(&content, cuts);
            prop_assert_eq!(file.size, whole.len() as u64);
            prop_assert_eq!(&file.sha256, &sha256_hex(&whole));
            let end = (from + length).min(file.size);
            let begin = from.min(end);
            let part = &whole[begin as usize..end as usize];
            prop_assert_eq!(sent(&file, &content, begin..end), part);
        }
    }
}
