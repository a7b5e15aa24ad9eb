//! Erasures as the contract has them.

use crate::{
    domain::{Erased, Error},
    entity::erasure,
    rpc::{proto, time::timestamp},
};

pub(super) fn message(erasure: &erasure::Model) -> Result<proto::Erasure, Error> {
    let Erased {
        requests,
        jobs,
        media,
        uploads,
        objects,
        bytes,
        credits,
        kept_transactions,
        kept_audit_entries,
    } = erasure.erased()?;
    Ok(proto::Erasure {
        id: erasure.id,
        user_id: erasure.user_id.unwrap_or_default(),
        account_id: erasure.account_id,
        create_time: Some(timestamp(erasure.created_at)),
        end_time: erasure.ended_at.map(timestamp),
        requests: requests.cast_signed(),
        jobs: jobs.cast_signed(),
        media: media.cast_signed(),
        uploads: uploads.cast_signed(),
        objects: objects.cast_signed(),
        object_bytes: bytes.cast_signed(),
        credits: credits.cast_signed(),
        kept_transactions: kept_transactions.cast_signed(),
        kept_audit_entries: kept_audit_entries.cast_signed(),
    })
}
