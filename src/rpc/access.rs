//! Who may call what. Every rpc of the contracts has its word here: one that is added does not compile without.

use crate::{
    domain::Error,
    identity::{Principal, Role},
};

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

fn access(rpc: Rpc) -> Access {
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
        | Rpc::CreateRequest
        | Rpc::GetRequest
        | Rpc::BatchGetRequests
        | Rpc::ListRequests
        | Rpc::CountRequests
        | Rpc::UpdateRequest
        | Rpc::UpdateRequests
        | Rpc::CancelRequest
        | Rpc::RetryRequest
        | Rpc::DeleteRequest
        | Rpc::UndeleteRequest
        | Rpc::BatchDeleteRequests
        | Rpc::BatchUndeleteRequests
        | Rpc::WatchRequest
        | Rpc::WatchRequests
        | Rpc::WatchUser
        | Rpc::GetJob
        | Rpc::BatchGetJobs
        | Rpc::ListJobs
        | Rpc::CountJobs
        | Rpc::ListJobEvents
        | Rpc::CancelJob
        | Rpc::RetryJob
        | Rpc::DeleteJob
        | Rpc::UndeleteJob
        | Rpc::WatchJob
        | Rpc::GetMedia
        | Rpc::BatchGetMedia
        | Rpc::ListMedia
        | Rpc::FindMedia
        | Rpc::DeleteMedia
        | Rpc::UndeleteMedia
        | Rpc::BatchDeleteMedia
        | Rpc::BatchUndeleteMedia
        | Rpc::DownloadMedia
        | Rpc::GetBalance
        | Rpc::ListTransactions
        | Rpc::EstimateCost => Access::Users,
        // They show templates as they are written, which users never see.
        Rpc::PreviewTemplate | Rpc::ListTemplateVersions => Access::Services,
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
        | Rpc::GrantCredits => Access::Admins,
    }
}

/// Checks that the principal may call to this path. Paths that are no rpc of ours change nothing and show nobody's rows.
///
/// # Errors
/// [`Error::PermissionDenied`].
pub(super) fn check(path: &str, principal: &Principal) -> Result<(), Error> {
    let Some(rpc) = Rpc::from_path(path) else {
        return Ok(());
    };
    let (may_call, who) = match access(rpc) {
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
