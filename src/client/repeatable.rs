//! Which calls may be sent again when nobody knows whether the first one was done.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use prost::Message;
use prost_types::FileDescriptorSet;
use prost_types::method_options::IdempotencyLevel;

use crate::rpc::proto;

/// The path of CreateRequest, which its idempotency key makes repeatable.
pub(super) const CREATE_REQUEST: &str = "/generation.v1.RequestService/CreateRequest";

/// The paths of all calls that the contracts call free of side effects or idempotent, streams aside: these are resumed.
static REPEATABLE: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let set = FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap_or_default();
    let ours = set.file.iter().filter(|it| it.package() == "generation.v1");
    let services = ours.flat_map(|file| &file.service);
    let calls = services.flat_map(|service| {
        let repeatable = service.method.iter().filter(|method| {
            let level = method
                .options
                .clone()
                .unwrap_or_default()
                .idempotency_level();
            let streams = method.server_streaming() || method.client_streaming();
            level != IdempotencyLevel::IdempotencyUnknown && !streams
        });
        repeatable.map(|method| format!("/generation.v1.{}/{}", service.name(), method.name()))
    });
    calls.chain([CREATE_REQUEST.to_owned()]).collect()
});

/// Whether the call to `path`, such as `/generation.v1.JobService/GetJob`, does no harm when it is done twice. Calls to other
/// packages are never repeated.
pub(super) fn is_repeatable(path: &str) -> bool {
    REPEATABLE.contains(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_judged_by_its_contract() {
        for (path, expected) in [
            ("/generation.v1.JobService/GetJob", true),
            ("/generation.v1.JobService/BatchGetJobs", true),
            ("/generation.v1.JobService/CancelJob", true),
            ("/generation.v1.JobService/RetryJob", true),
            (CREATE_REQUEST, true),
            ("/generation.v1.RequestService/RetryRequest", false),
            ("/generation.v1.FeatureService/CreateFeature", false),
            ("/generation.v1.FeatureService/UpdateFeature", false),
            ("/generation.v1.JobService/WatchJob", false),
            ("/generation.v1.MediaService/DownloadMedia", false),
            ("/generation.v1.MediaService/UploadMedia", false),
            ("/generation.v1.MediaService/CompleteUpload", true),
            ("/elsewhere.Service/GetJob", false),
            ("nothing", false),
        ] {
            assert_eq!(is_repeatable(path), expected, "{path}");
        }
    }
}
