//! What calls are about.

/// What a lookup may miss, and what a name may belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A row of `generation_features`.
    Feature,
    /// A row of `generation_templates`.
    Template,
    /// A row of `generation_requests`.
    Request,
    /// A row of `generation_jobs`.
    Job,
    /// A row of `generation_media`.
    Media,
    /// A row of `generation_erasures`.
    Erasure,
    /// A row of `generation_shares`.
    Share,
    /// A row of `generation_uploads`.
    Upload,
    /// A row of `generation_workers`.
    Worker,
}

impl Resource {
    /// The noun in messages and, with "_id", in error metadata.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Feature => "feature",
            Self::Template => "template",
            Self::Request => "request",
            Self::Job => "job",
            Self::Media => "media",
            Self::Erasure => "erasure",
            Self::Share => "share",
            Self::Upload => "upload",
            Self::Worker => "worker",
        }
    }
}
