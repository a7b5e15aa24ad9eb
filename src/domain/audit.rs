//! What the audit log tells: who has changed what all see, see docs/operations.md#the-audit-log.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;
use strum::{EnumIter, EnumString, IntoStaticStr};

use super::JsonMap;

/// What was done. Whatever changes what all see has a word here and makes one entry where it is done, and so has erasing, and
/// what holds the queue.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, EnumIter, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AuditAction {
    /// There is a new feature.
    CreateFeature,
    /// Some of its fields were changed.
    UpdateFeature,
    /// It was hidden with its live templates.
    DeleteFeature,
    /// It came back with those.
    UndeleteFeature,
    /// There is a new template.
    CreateTemplate,
    /// Some of its fields were changed.
    UpdateTemplate,
    /// It was hidden by itself.
    DeleteTemplate,
    /// It came back by itself.
    UndeleteTemplate,
    /// It has the data of a version of before.
    RestoreTemplate,
    /// Templates of a feature have other places.
    ReorderTemplates,
    /// A catalogue has changed features and templates, each of which has an entry of its own.
    ApplyCatalogue,
    /// The same of the catalogue that an empty installation begins with.
    InstallCatalogue,
    /// A user was given credits.
    GrantCredits,
    /// Credits were taken back from a user.
    DeductCredits,
    /// There is a new API key.
    CreateApiKey,
    /// An API key holds no more.
    RevokeApiKey,
    /// There is a new key of the installation.
    RotateSecret,
    /// A user is erased, who stands in this entry as an account of nobody's already.
    EraseUser,
    /// Nothing is begun any more.
    PauseQueue,
    /// What is not paused otherwise is begun again.
    ResumeQueue,
    /// Nothing of a feature is begun any more.
    PauseFeature,
    /// What is of it and not paused otherwise is begun again.
    ResumeFeature,
    /// Nothing is given to a provider any more.
    PauseProvider,
    /// It gets again what is not paused otherwise.
    ResumeProvider,
    /// A worker takes no job any more.
    DrainWorker,
    /// It takes jobs again.
    UndrainWorker,
}

/// What kind of thing something was done to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, EnumIter, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AuditSubject {
    /// A feature.
    Feature,
    /// A template.
    Template,
    /// The catalogue as a whole.
    Catalogue,
    /// A user of Identity, or the account of nobody's that he has become.
    User,
    /// An API key.
    ApiKey,
    /// A key of the installation, by its id within its purpose.
    Secret,
    /// The queue as a whole.
    Queue,
    /// A provider, which has a name and no id.
    Provider,
    /// A worker.
    Worker,
}

impl AuditSubject {
    /// As the database and the log have it.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl AuditAction {
    /// As the database and the log have it.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// To what it is done.
    pub const fn subject(self) -> AuditSubject {
        match self {
            Self::CreateFeature
            | Self::UpdateFeature
            | Self::DeleteFeature
            | Self::UndeleteFeature
            | Self::ReorderTemplates
            | Self::PauseFeature
            | Self::ResumeFeature => AuditSubject::Feature,
            Self::CreateTemplate
            | Self::UpdateTemplate
            | Self::DeleteTemplate
            | Self::UndeleteTemplate
            | Self::RestoreTemplate => AuditSubject::Template,
            Self::ApplyCatalogue | Self::InstallCatalogue => AuditSubject::Catalogue,
            Self::GrantCredits | Self::DeductCredits | Self::EraseUser => AuditSubject::User,
            Self::CreateApiKey | Self::RevokeApiKey => AuditSubject::ApiKey,
            Self::RotateSecret => AuditSubject::Secret,
            Self::PauseQueue | Self::ResumeQueue => AuditSubject::Queue,
            Self::PauseProvider | Self::ResumeProvider => AuditSubject::Provider,
            Self::DrainWorker | Self::UndrainWorker => AuditSubject::Worker,
        }
    }
}

/// In whose name something is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// As idempotency keys know a client, such as `admin:ops`. Names without a colon are those below.
    pub name: String,
    /// How he has shown who he is, such as `api_key:7`.
    pub credential: Option<String>,
}

impl Actor {
    /// Whoever may run commands on the configured database, or has the server do something by its configuration.
    pub fn operator() -> Self {
        Self::unasked("operator")
    }

    /// Whoever reaches a server that asks nobody who he is.
    pub fn local() -> Self {
        Self::unasked("local")
    }

    fn unasked(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            credential: None,
        }
    }
}

/// A change, as whoever makes it has it noted. What was written is not in it: no prompts, no settings and no credentials.
#[derive(Clone, Debug, PartialEq)]
pub struct Deed {
    /// What was done.
    pub action: AuditAction,
    /// To which; `None` where there is only one.
    pub subject_id: Option<i64>,
    /// Names, numbers and times that tell more.
    pub detail: JsonMap,
}

impl Deed {
    /// Something done to the one of this id.
    pub fn to(action: AuditAction, id: i64) -> Self {
        Self {
            subject_id: Some(id),
            ..Self::of(action)
        }
    }

    /// Something done to the only one of its kind.
    pub fn of(action: AuditAction) -> Self {
        Self {
            action,
            subject_id: None,
            detail: JsonMap::new(),
        }
    }

    /// With more to tell of it.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(key.to_owned(), value.into());
        self
    }

    /// With why it was done, if that is said.
    #[must_use]
    pub fn with_reason(self, reason: &str) -> Self {
        match reason {
            "" => self,
            reason => self.with("reason", reason),
        }
    }

    /// With a time, if there is one.
    #[must_use]
    pub fn at(self, key: &str, time: Option<DateTime<Utc>>) -> Self {
        let text = time.map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        match text {
            Some(text) => self.with(key, text),
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn every_action_is_done_to_something_and_fits_its_column() {
        let of_actions = AuditAction::iter().map(|action| action.subject().name());
        let all: BTreeSet<_> = AuditSubject::iter().map(AuditSubject::name).collect();
        assert_eq!(of_actions.collect::<BTreeSet<_>>(), all);
        for action in AuditAction::iter() {
            assert!(action.name().len() <= 40, "{action:?}");
            assert_eq!(action.name().parse(), Ok(action));
        }
        assert!(all.iter().all(|name| name.len() <= 20));
    }

    #[test]
    fn no_client_has_the_name_of_those_who_are_not_asked() {
        for actor in [Actor::operator(), Actor::local()] {
            assert!(!actor.name.contains(':'), "{actor:?}");
        }
    }
}
