//! What operators may pause, see docs/operations.md#holding-the-queue.

use super::{AuditAction, Checks, Deed, Flaw, check::is_in_name, feature::MAX_PROVIDER_CHARS};

/// Longest reason, in characters.
const MAX_REASON_CHARS: usize = 500;

/// A part of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueuePart {
    /// All jobs.
    Whole,
    /// The jobs of the feature of this id.
    Feature(i64),
    /// The jobs of the provider of this name.
    Provider(String),
}

impl QueuePart {
    /// That of this provider or feature; all jobs if there is neither.
    pub fn of(provider: Option<String>, feature_id: Option<i64>) -> Self {
        match (provider, feature_id) {
            (Some(provider), _) => Self::Provider(provider),
            (None, Some(id)) => Self::Feature(id),
            (None, None) => Self::Whole,
        }
    }

    /// Whether a job of this feature and provider is of it.
    pub fn has(&self, feature_id: i64, provider: Option<&str>) -> bool {
        match self {
            Self::Whole => true,
            Self::Feature(id) => *id == feature_id,
            Self::Provider(name) => provider == Some(name.as_str()),
        }
    }

    /// Notes what is wrong with it, under the names of its fields.
    pub fn check(&self, checks: &mut Checks) {
        match self {
            Self::Whole => {}
            Self::Feature(id) => checks.id("part.feature_id", *id),
            Self::Provider(name) => {
                let is_name =
                    (1..=MAX_PROVIDER_CHARS).contains(&name.len()) && name.chars().all(is_in_name);
                checks.require(is_name, "part.provider", || {
                    Flaw::Malformed
                        .says("must have 1 to 64 characters of a-z, 0-9, \"_\" and \"-\"")
                });
            }
        }
    }

    /// What the audit log has of its pause.
    pub fn paused(&self) -> Deed {
        self.deed(match self {
            Self::Whole => AuditAction::PauseQueue,
            Self::Feature(_) => AuditAction::PauseFeature,
            Self::Provider(_) => AuditAction::PauseProvider,
        })
    }

    /// What the audit log has of its end.
    pub fn resumed(&self) -> Deed {
        self.deed(match self {
            Self::Whole => AuditAction::ResumeQueue,
            Self::Feature(_) => AuditAction::ResumeFeature,
            Self::Provider(_) => AuditAction::ResumeProvider,
        })
    }

    fn deed(&self, action: AuditAction) -> Deed {
        match self {
            Self::Whole => Deed::of(action),
            Self::Feature(id) => Deed::to(action, *id),
            Self::Provider(name) => Deed::of(action).with("provider", name.as_str()),
        }
    }
}

/// Notes what is wrong with why something is held.
pub fn check_hold_reason(reason: &str, checks: &mut Checks) {
    checks.line("reason", reason, MAX_REASON_CHARS);
}
