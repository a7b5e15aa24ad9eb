//! Whether what users write, and what is made for them, may be here: by a list of words, or by a service that judges.

mod service;
mod words;

use std::sync::Arc;

use image::DynamicImage;

pub use service::ModerationService;
pub use words::{WordList, WordListError};

/// Who judges. Clones share it.
#[derive(Clone, Debug, Default)]
pub enum Moderation {
    /// Nobody: everything may be here.
    #[default]
    Off,
    /// A list of words, which says nothing of pictures.
    Words(Arc<WordList>),
    /// A service.
    Service(Arc<ModerationService>),
}

/// What was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be here.
    Accepted,
    /// It may not, for being of these kinds, such as `violence`; none if the judge does not tell.
    Rejected(Vec<String>),
}

/// The judge does not answer, or not in a way that can be understood. The text is for operators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoVerdict(pub String);

impl Moderation {
    /// Judges each of these texts.
    ///
    /// # Errors
    /// When there is no verdict, and nothing is to be here without one.
    pub async fn judge_texts(&self, texts: &[&str]) -> Result<Vec<Verdict>, NoVerdict> {
        match self {
            Self::Off => Ok(vec![Verdict::Accepted; texts.len()]),
            Self::Words(list) => Ok(texts.iter().map(|text| list.judge(text)).collect()),
            Self::Service(service) => service.judge_texts(texts).await,
        }
    }

    /// Judges a picture, or what stands for a video.
    ///
    /// # Errors
    /// The same.
    pub async fn judge_picture(&self, picture: &DynamicImage) -> Result<Verdict, NoVerdict> {
        match self {
            Self::Off | Self::Words(_) => Ok(Verdict::Accepted),
            Self::Service(service) => service.judge_picture(picture).await,
        }
    }

    /// Whether pictures are judged at all.
    pub fn sees(&self) -> bool {
        matches!(self, Self::Service(_))
    }
}
