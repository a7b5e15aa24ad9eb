//! Entries of the audit log between the contract and the domain.

use std::str::FromStr;

use serde_json::Value;

use crate::{
    domain::{AuditAction, AuditSubject, Checks, Flaw, Problem},
    entity::audit_entry,
    store,
};

use crate::rpc::{
    json,
    page::any_or,
    proto,
    time::{time_range, timestamp},
};

/// As the database keeps them.
const MAX_ACTOR_CHARS: usize = 80;
/// What stands before the domain's names in the values of the contract's enums.
const ACTION: &str = "AUDIT_ACTION_";
const SUBJECT: &str = "AUDIT_SUBJECT_KIND_";

pub(super) fn filter_from(
    request: proto::ListAuditEntriesRequest,
    checks: &mut Checks,
) -> store::audit::Filter {
    checks.line("actor", &request.actor, MAX_ACTOR_CHARS);
    checks.optional_id("subject_id", request.subject_id);
    let action = action_from(request.action, checks);
    let subject_kind = subject_from(request.subject_kind, checks);
    let is_told = request.subject_id == 0 || request.subject_kind != 0;
    checks.require(is_told, "subject_kind", || {
        Flaw::Required.says("is required beside subject_id")
    });
    let (created_from, created_before) =
        time_range(request.create_time_start, request.create_time_end, checks);
    store::audit::Filter {
        actor: (!request.actor.is_empty()).then_some(request.actor),
        action,
        subject_kind,
        subject_id: any_or(request.subject_id),
        created_from,
        created_before,
    }
}

/// Unspecified means none.
fn action_from(action: i32, checks: &mut Checks) -> Option<AuditAction> {
    match proto::AuditAction::try_from(action) {
        Ok(action) => own(ACTION, action.as_str_name()),
        Err(_) => {
            checks.add("action", Problem::no_value_of("AuditAction", action));
            None
        }
    }
}

/// Unspecified means none.
fn subject_from(kind: i32, checks: &mut Checks) -> Option<AuditSubject> {
    match proto::AuditSubjectKind::try_from(kind) {
        Ok(kind) => own(SUBJECT, kind.as_str_name()),
        Err(_) => {
            let problem = Problem::no_value_of("AuditSubjectKind", kind);
            checks.add("subject_kind", problem);
            None
        }
    }
}

fn own<T: FromStr>(prefix: &str, value: &str) -> Option<T> {
    let name = value.strip_prefix(prefix)?;
    name.to_lowercase().parse().ok()
}

/// As the contract names the value of such an enum.
fn value(prefix: &str, name: &str) -> String {
    format!("{prefix}{}", name.to_uppercase())
}

pub(super) fn message(entry: audit_entry::Model) -> proto::AuditEntry {
    let detail = match entry.detail {
        Value::Object(map) => map,
        _ => Default::default(),
    };
    let action = proto::AuditAction::from_str_name(&value(ACTION, &entry.action));
    let kind = proto::AuditSubjectKind::from_str_name(&value(SUBJECT, &entry.subject_kind));
    proto::AuditEntry {
        id: entry.id,
        create_time: Some(timestamp(entry.created_at)),
        actor: entry.actor,
        credential: entry.credential.unwrap_or_default(),
        action: action.unwrap_or_default().into(),
        subject_kind: kind.unwrap_or_default().into(),
        subject_id: entry.subject_id.unwrap_or_default(),
        detail: Some(json::to_struct(detail)),
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn the_contract_has_every_action_and_every_kind_of_subject_and_no_others() {
        for number in 0..=i32::try_from(AuditAction::iter().count()).unwrap() {
            let told = proto::AuditAction::try_from(number).unwrap();
            let known = action_from(number, &mut Checks::default());
            let name = known.map_or("unspecified", AuditAction::name);
            assert_eq!(value(ACTION, name), told.as_str_name());
        }
        for number in 0..=i32::try_from(AuditSubject::iter().count()).unwrap() {
            let told = proto::AuditSubjectKind::try_from(number).unwrap();
            let known = subject_from(number, &mut Checks::default());
            let name = known.map_or("unspecified", AuditSubject::name);
            assert_eq!(value(SUBJECT, name), told.as_str_name());
        }
        let beyond = i32::try_from(AuditAction::iter().count()).unwrap() + 1;
        assert!(proto::AuditAction::try_from(beyond).is_err());
    }
}
