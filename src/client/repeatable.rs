//! Which calls may be sent again when nobody knows whether the first one was done.

/// The path of CreateRequest, which its idempotency key makes repeatable.
pub(super) const CREATE_REQUEST: &str = "/generation.v1.RequestService/CreateRequest";

/// Verbs that change nothing, or that succeed again on what they have changed already.
///
/// Left out: Create, whose name is taken the second time; Update and Restore, whose etag has gone by then; Preview,
/// which makes a new request; Retry, since RetryRequest makes
/// further jobs where the new ones have failed in between; Record, which counts; and the streams Watch, Download and Upload.
const REPEATABLE: [&str; 9] = [
    "Get", "List", "Count", "Find", "Render", "Cancel", "Delete", "Undelete", "Reorder",
];

/// Whether the call to `path`, such as `/generation.v1.JobService/GetJob`, does no harm when it is done twice. Calls to other
/// packages are never repeated.
pub(super) fn is_repeatable(path: &str) -> bool {
    let Some((service, method)) = path.trim_start_matches('/').split_once('/') else {
        return false;
    };
    let is_ours = service.starts_with("generation.v1.");
    is_ours && (path == CREATE_REQUEST || REPEATABLE.contains(&verb(method)))
}

/// The first word of a method's name; of a batch, what it does with each.
fn verb(method: &str) -> &str {
    let method = method.strip_prefix("Batch").unwrap_or(method);
    let second = method.char_indices().skip(1);
    let end = second.into_iter().find(|(_, c)| c.is_ascii_uppercase());
    end.map_or(method, |(end, _)| &method[..end])
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::rpc::proto;

    /// Verbs of calls that are sent once.
    const ONCE: [&str; 6] = ["Create", "Update", "Preview", "Restore", "Retry", "Record"];

    /// Verbs of calls that stream.
    const STREAMS: [&str; 3] = ["Watch", "Download", "Upload"];

    #[test]
    fn every_method_is_of_a_known_kind() {
        let set = FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap();
        let ours = set.file.iter().filter(|it| it.package() == "generation.v1");
        let mut count = 0;
        for service in ours.flat_map(|file| &file.service) {
            for method in &service.method {
                count += 1;
                let path = format!("/generation.v1.{}/{}", service.name(), method.name());
                let streams = method.client_streaming() || method.server_streaming();
                let verb = verb(method.name());
                if is_repeatable(&path) {
                    assert!(!streams, "{path} streams and cannot be repeated");
                } else {
                    let known: &[_] = if streams { &STREAMS } else { &ONCE };
                    assert!(known.contains(&verb), "may {path} be repeated?");
                }
            }
        }
        assert!(count > 10, "only {count} methods found");
    }

    #[test]
    fn a_method_is_judged_by_its_verb_and_its_package() {
        assert!(is_repeatable("/generation.v1.JobService/GetJob"));
        assert!(is_repeatable(CREATE_REQUEST));
        assert!(!is_repeatable(
            "/generation.v1.FeatureService/CreateFeature"
        ));
        assert!(is_repeatable("/generation.v1.JobService/BatchGetJobs"));
        assert!(!is_repeatable("/generation.v1.JobService/BatchCreateJobs"));
        assert!(!is_repeatable("/generation.v1.JobService/Batch"));
        assert!(!is_repeatable("/generation.v1.JobService/Getaway"));
        assert!(!is_repeatable("/elsewhere.Service/GetJob"));
        assert!(!is_repeatable("nothing"));
    }
}
