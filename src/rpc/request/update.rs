//! What UpdateRequest changes.

use prost_types::FieldMask;

use crate::{
    domain::{Checks, RequestNotes},
    identity::Principal,
    rpc::{
        field_mask::{Fields, fields},
        json, proto,
    },
};

const FIELDS: Fields<RequestNotes> = Fields {
    changeable: fields!(RequestNotes {
        "title" => title,
        "project_id" => project_id,
        "metadata" => metadata,
    }),
    immutable: &[
        "user_id",
        "feature_id",
        "template_id",
        "user_prompt",
        "user_media_urls",
        "input",
    ],
    output_only: &[
        "id",
        "template_prompt",
        "system_prompt",
        "status",
        "job_counts",
        "create_time",
        "update_time",
        "delete_time",
        "archive_time",
        "purged_jobs",
        "purge_time",
        "etag",
        "jobs",
        "media",
        "cover",
    ],
};

/// The change, and what is wrong with it already.
pub(super) fn change_from(
    given: proto::Request,
    mask: Option<FieldMask>,
    principal: &Principal,
) -> (impl Fn(&mut RequestNotes), Checks) {
    let metadata = json::values_of(given.metadata.as_ref());
    let mut checks = Checks::default();
    json::check_finite("request.metadata", metadata, &mut checks);
    let notes = RequestNotes {
        title: given.title,
        project_id: given.project_id,
        metadata: given.metadata.map(json::from_struct).unwrap_or_default(),
    };
    let mask = FIELDS.select(mask, &notes, &mut checks);
    if mask.covers("project_id") {
        principal.check_project("project_id", notes.project_id, &mut checks);
    }
    let mut of_request = Checks::within("request.");
    of_request.extend(checks.into_violations());
    (
        move |to: &mut RequestNotes| mask.copy(to, &notes),
        of_request,
    )
}
