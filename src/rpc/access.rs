//! Who may call what. Every rpc of the contracts has its word here: one that is added does not compile without.

use axum::http::Method;

use crate::{
    domain::Error,
    identity::{Principal, Role},
};

use super::front;

include!(concat!(env!("OUT_DIR"), "/rpcs.rs"));

/// Who may call an rpc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Users, about what is their own or shown to all, and everybody below.
    Users,
    /// Services and admins.
    Services,
    /// Admins.
    Admins,
}

/// What an rpc costs, in which each caller has an allowance of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Class {
    /// It reads, or tells that something was looked at.
    Read,
    /// It writes a caller's own, or has something made.
    Write,
    /// It changes what all see.
    Admin,
}

impl Class {
    /// As callers are told.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

fn access(rpc: Rpc) -> (Access, Class) {
    match rpc {
        Rpc::GetFeature
        | Rpc::ListFeatures
        | Rpc::GetTemplate
        | Rpc::BatchGetTemplates
        | Rpc::ListTemplates
        | Rpc::ListTags
        | Rpc::RecordTemplateView
        | Rpc::RecordTemplateViews
        | Rpc::RenderTemplate
        | Rpc::GetRequest
        | Rpc::BatchGetRequests
        | Rpc::ListRequests
        | Rpc::CountRequests
        | Rpc::WatchRequest
        | Rpc::WatchRequests
        | Rpc::WatchUser
        | Rpc::GetJob
        | Rpc::BatchGetJobs
        | Rpc::ListJobs
        | Rpc::CountJobs
        | Rpc::ListJobEvents
        | Rpc::WatchJob
        | Rpc::GetMedia
        | Rpc::BatchGetMedia
        | Rpc::ListMedia
        | Rpc::FindMedia
        | Rpc::DownloadMedia
        | Rpc::ListShares
        | Rpc::GetUpload
        | Rpc::ListUploads
        | Rpc::GetBalance
        | Rpc::ListTransactions
        | Rpc::EstimateCost
        | Rpc::GetLimits => (Access::Users, Class::Read),
        Rpc::CreateRequest
        | Rpc::UpdateRequest
        | Rpc::UpdateRequests
        | Rpc::CancelRequest
        | Rpc::RetryRequest
        | Rpc::DeleteRequest
        | Rpc::UndeleteRequest
        | Rpc::BatchDeleteRequests
        | Rpc::BatchUndeleteRequests
        | Rpc::CancelJob
        | Rpc::RetryJob
        | Rpc::DeleteJob
        | Rpc::UndeleteJob
        | Rpc::DeleteMedia
        | Rpc::UndeleteMedia
        | Rpc::BatchDeleteMedia
        | Rpc::BatchUndeleteMedia
        | Rpc::ShareMedia
        | Rpc::UnshareMedia => (Access::Users, Class::Write),
        Rpc::UploadMedia | Rpc::CreateUploadUrl | Rpc::CompleteUpload | Rpc::DeleteUpload => {
            (Access::Users, Class::Write)
        }
        // They show templates as they are written, which users never see.
        Rpc::PreviewTemplate | Rpc::ListTemplateVersions => (Access::Services, Class::Read),
        Rpc::CreateFeature
        | Rpc::UpdateFeature
        | Rpc::DeleteFeature
        | Rpc::UndeleteFeature
        | Rpc::CreateTemplate
        | Rpc::UpdateTemplate
        | Rpc::DeleteTemplate
        | Rpc::UndeleteTemplate
        | Rpc::ReorderTemplates
        | Rpc::RestoreTemplateVersion
        | Rpc::GrantCredits
        | Rpc::EraseUser
        | Rpc::PauseQueue
        | Rpc::ResumeQueue
        | Rpc::DrainWorker
        | Rpc::UndrainWorker => (Access::Admins, Class::Admin),
        Rpc::ListAuditEntries
        | Rpc::GetRetentionReport
        | Rpc::GetErasure
        | Rpc::ExportUser
        | Rpc::GetQueue
        | Rpc::DiagnoseJob => (Access::Admins, Class::Read),
    }
}

/// What a call costs. What is no rpc of ours is either the front's, whose methods tell, or reads.
pub(super) fn class(method: &Method, path: &str) -> Class {
    match Rpc::from_path(path) {
        Some(rpc) => access(rpc).1,
        None if front::is_path(path) && !matches!(*method, Method::GET | Method::HEAD) => {
            Class::Write
        }
        None => Class::Read,
    }
}

/// Whether a call to this path is answered by an rpc of ours with any number of messages.
pub(super) fn streams(path: &str) -> bool {
    Rpc::from_path(path).is_some_and(Rpc::streams)
}

/// The name of an rpc of ours, such as `GetJob`.
pub(super) fn name(path: &str) -> Option<String> {
    Rpc::from_path(path).map(|rpc| format!("{rpc:?}"))
}

/// Whether an rpc changes anything; `None` for what is no rpc of ours.
pub(super) fn changes(path: &str) -> Option<bool> {
    Rpc::from_path(path).map(|rpc| access(rpc).1 != Class::Read)
}

/// Checks that the principal may call to this path. Paths that are no rpc of ours change nothing and show nobody's rows.
///
/// # Errors
/// [`Error::PermissionDenied`].
pub(super) fn check(path: &str, principal: &Principal) -> Result<(), Error> {
    let Some(rpc) = Rpc::from_path(path) else {
        return Ok(());
    };
    let (may_call, who) = match access(rpc).0 {
        Access::Users => return Ok(()),
        Access::Services => (!matches!(principal.role, Role::User(_)), "services"),
        Access::Admins => (
            matches!(principal.role, Role::Admin | Role::Anyone),
            "admins",
        ),
    };
    match may_call {
        true => Ok(()),
        false => Err(Error::PermissionDenied(format!(
            "{rpc:?} is for {who} only"
        ))),
    }
}
