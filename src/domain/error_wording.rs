//! What users are told of each reason, in every language.

use super::{Reason, language::Wording};

impl Reason {
    /// With a place for the `{message}` of a job where that tells what the reason does not.
    pub(super) fn wording(self) -> Wording {
        match self {
            Self::ValidationFailed => [
                "Please check what you entered.",
                "Vui lòng kiểm tra lại nội dung đã nhập.",
            ],
            Self::InvalidPageToken => [
                "The list has changed; start again from its beginning.",
                "Danh sách đã thay đổi; hãy xem lại từ đầu.",
            ],
            Self::IdempotencyKeyReused => [
                "This was sent before with another content.",
                "Yêu cầu này đã được gửi trước đó với nội dung khác.",
            ],
            Self::FeatureNotFound => [
                "This feature does not exist.",
                "Tính năng này không tồn tại.",
            ],
            Self::TemplateNotFound => ["This template does not exist.", "Mẫu này không tồn tại."],
            Self::RequestNotFound => ["This request does not exist.", "Yêu cầu này không tồn tại."],
            Self::JobNotFound => ["This job does not exist.", "Tác vụ này không tồn tại."],
            Self::MediaNotFound => ["This file does not exist.", "Tệp này không tồn tại."],
            Self::ErasureNotFound => [
                "This erasure does not exist.",
                "Yêu cầu xoá dữ liệu này không tồn tại.",
            ],
            Self::MediaContentMissing => [
                "The content of this file is gone.",
                "Nội dung của tệp này không còn nữa.",
            ],
            Self::FeatureNameTaken => [
                "Another feature has this name.",
                "Tên này đã thuộc về một tính năng khác.",
            ],
            Self::TemplateNameTaken => [
                "Another template has this name.",
                "Tên này đã thuộc về một mẫu khác.",
            ],
            Self::FeatureInactive => [
                "This feature takes no requests now.",
                "Tính năng này hiện không nhận yêu cầu.",
            ],
            Self::TemplateInactive => [
                "This template takes no requests now.",
                "Mẫu này hiện không nhận yêu cầu.",
            ],
            Self::UserUnknown => ["This user is not known.", "Không tìm thấy người dùng này."],
            Self::JobAlreadyProcessing => [
                "This is being made already and cannot be cancelled.",
                "Tác vụ đang được xử lý nên không thể hủy.",
            ],
            Self::JobAlreadyFinished => [
                "This has ended already and cannot be cancelled.",
                "Tác vụ đã kết thúc nên không thể hủy.",
            ],
            Self::RevisionAhead => ["Load this page again.", "Hãy tải lại trang này."],
            Self::DatabaseUnavailable => [
                "The service is not available right now; try again soon.",
                "Dịch vụ tạm thời không khả dụng; vui lòng thử lại sau.",
            ],
            Self::StorageUnavailable => [
                "The media storage cannot be reached right now.",
                "Hiện không truy cập được kho lưu trữ tệp.",
            ],
            Self::ShuttingDown => [
                "The service is starting anew; try again soon.",
                "Dịch vụ đang khởi động lại; vui lòng thử lại sau.",
            ],
            Self::WatchesTaken => [
                "Too much is being watched at once; close another page or try again soon.",
                "Đang có quá nhiều lượt theo dõi; hãy đóng bớt trang hoặc thử lại sau.",
            ],
            Self::HostNotAllowed => [
                "This address is not one of the service's.",
                "Địa chỉ này không phải của dịch vụ.",
            ],
            Self::OriginNotAllowed => [
                "This page may not use the service.",
                "Trang này không được phép dùng dịch vụ.",
            ],
            Self::CredentialsMissing => [
                "Sign in to do this.",
                "Vui lòng đăng nhập để thực hiện thao tác này.",
            ],
            Self::CredentialsInvalid => [
                "Sign in again: this sign-in is not valid.",
                "Phiên đăng nhập không hợp lệ; vui lòng đăng nhập lại.",
            ],
            Self::CredentialsExpired => [
                "Sign in again: the session has ended.",
                "Phiên đăng nhập đã hết hạn; vui lòng đăng nhập lại.",
            ],
            Self::CredentialsUnverifiable => [
                "The sign-in cannot be checked right now; try again soon.",
                "Hiện chưa thể kiểm tra phiên đăng nhập; vui lòng thử lại sau.",
            ],
            Self::RateLimited => [
                "Too many calls in a short time; try again in a moment.",
                "Quá nhiều yêu cầu trong thời gian ngắn; vui lòng thử lại sau giây lát.",
            ],
            Self::PermissionDenied => ["You may not do this.", "Bạn không được phép làm điều này."],
            Self::CreditsInsufficient => [
                "You do not have enough credits for this.",
                "Bạn không đủ tín dụng để thực hiện thao tác này.",
            ],
            Self::BillingDisabled => [
                "There are no credits here.",
                "Dịch vụ này không sử dụng tín dụng.",
            ],
            Self::QuotaExceeded => [
                "You have reached a limit of your plan.",
                "Bạn đã đạt giới hạn của gói.",
            ],
            Self::PlanUnknown => [
                "Your plan is not known here.",
                "Gói của bạn không được hỗ trợ ở đây.",
            ],
            Self::BillingUnavailable => [
                "Your credits cannot be checked right now; try again soon.",
                "Hiện chưa thể kiểm tra tín dụng của bạn; vui lòng thử lại sau.",
            ],
            Self::BillingRefused => [
                "Your account cannot be charged.",
                "Không thể trừ tín dụng từ tài khoản của bạn.",
            ],
            Self::ShareNotFound => ["This link does not exist.", "Liên kết này không tồn tại."],
            Self::SharesTaken => [
                "This file has too many links; end one that is not needed.",
                "Tệp này đã có quá nhiều liên kết; hãy gỡ bớt liên kết không cần thiết.",
            ],
            Self::MetadataNotRemovable => [
                "How this file was made cannot be left out of it.",
                "Không thể lược bỏ thông tin về cách tạo ra tệp này.",
            ],
            Self::UploadNotFound => [
                "This upload does not exist.",
                "Tệp tải lên này không tồn tại.",
            ],
            Self::UploadTooLarge => ["This file is too large.", "Tệp này quá lớn."],
            Self::UploadUnsupported => [
                "This file cannot be used: it is of another type, or damaged.",
                "Không dùng được tệp này: sai định dạng hoặc bị hỏng.",
            ],
            Self::UploadMismatch => [
                "The file did not come whole; send it again.",
                "Tệp chưa được gửi trọn vẹn; vui lòng gửi lại.",
            ],
            Self::UploadsFull => [
                "You have too many uploads; remove some first.",
                "Bạn đã tải lên quá nhiều tệp; hãy xóa bớt.",
            ],
            Self::UploadIncomplete => [
                "The file has not come; send it again.",
                "Chưa nhận được tệp; vui lòng gửi lại.",
            ],
            Self::Internal => [
                "Something went wrong on our side.",
                "Đã xảy ra lỗi phía hệ thống.",
            ],
            Self::ProviderNoOutput => [
                "The generator finished without making anything.",
                "Trình tạo đã kết thúc mà không tạo ra kết quả.",
            ],
            Self::ProviderInvalidOutput => [
                "The generator made a file that cannot be read.",
                "Trình tạo đã tạo ra một tệp không đọc được.",
            ],
            Self::ProviderUnavailable => [
                "The generator cannot be reached right now.",
                "Hiện không kết nối được với trình tạo.",
            ],
            Self::ContentRejected => [
                "This content is not allowed here.",
                "Nội dung này không được phép ở đây.",
            ],
            Self::ModerationUnavailable => [
                "The content cannot be checked right now; try again later.",
                "Hiện chưa thể kiểm duyệt nội dung; vui lòng thử lại sau.",
            ],
            Self::ProviderRejectedContent => [
                "The generator refuses this content.",
                "Trình tạo từ chối nội dung này.",
            ],
            Self::ProviderRejectedInput => [
                "The generator does not accept this: {message}",
                "Trình tạo không chấp nhận đầu vào này: {message}",
            ],
            Self::ProviderOutcomeUnknown => [
                "It is not known whether the generator took the task.",
                "Không rõ trình tạo đã nhận tác vụ hay chưa.",
            ],
            Self::ProviderFailed => ["The generator failed.", "Trình tạo đã gặp lỗi."],
            Self::ProviderNotConfigured => [
                "The generator is not set up.",
                "Trình tạo chưa được cấu hình.",
            ],
            Self::OutputTooLarge => ["The output is too large.", "Kết quả quá lớn."],
            Self::JobTimedOut => ["This took too long.", "Tác vụ mất quá nhiều thời gian."],
            Self::WorkerLost => ["The work was interrupted.", "Quá trình xử lý bị gián đoạn."],
            Self::MalformedMessage => [
                "The message cannot be read.",
                "Không đọc được dữ liệu đã gửi.",
            ],
            Self::MessageTooLarge | Self::MetadataTooLarge => {
                ["The message is too large.", "Dữ liệu gửi lên quá lớn."]
            }
            Self::WorkerNotFound => [
                "This worker does not exist.",
                "Máy xử lý này không tồn tại.",
            ],
            Self::StartDeadlineExceeded => [
                "This did not start in time, and was cancelled.",
                "Tác vụ không bắt đầu kịp thời hạn nên đã bị hủy.",
            ],
            Self::DeadlineExceeded => [
                "This took too long; look whether it was done before you try again.",
                "Thao tác mất quá nhiều thời gian; hãy kiểm tra kết quả trước khi thử lại.",
            ],
            Self::UnknownMethod => [
                "The service cannot do this.",
                "Dịch vụ không hỗ trợ thao tác này.",
            ],
            Self::UnsupportedCompression => [
                "The message cannot be read.",
                "Không đọc được dữ liệu đã gửi.",
            ],
            Self::FeatureInUse => [
                "This feature is in use and cannot be deleted now.",
                "Tính năng đang được sử dụng nên chưa thể xóa.",
            ],
            Self::FeatureBreaksTemplates => [
                "This change does not go with templates of the feature.",
                "Thay đổi này không phù hợp với các mẫu của tính năng.",
            ],
            Self::EtagMismatch => [
                "Someone else has changed this; load it again.",
                "Nội dung đã được người khác thay đổi; hãy tải lại.",
            ],
            Self::FeatureDeleted => ["The feature is deleted.", "Tính năng đã bị xóa."],
            Self::RequestDeleted => ["The request is deleted.", "Yêu cầu đã bị xóa."],
            Self::JobNotRetryable => [
                "Only what failed or was cancelled can be tried again.",
                "Chỉ có thể thử lại tác vụ bị lỗi hoặc đã hủy.",
            ],
            Self::RequestNotRetryable => {
                ["There is nothing to try again.", "Không có gì để thử lại."]
            }
            Self::OffsetAhead => [
                "The file is shorter than this.",
                "Tệp ngắn hơn vị trí yêu cầu.",
            ],
            Self::ProviderNotReady => [
                "The generator cannot run here.",
                "Trình tạo chưa thể chạy ở đây.",
            ],
            Self::ProviderLimitExceeded => [
                "The generator needed more memory or room than it may use.",
                "Trình tạo cần nhiều bộ nhớ hoặc dung lượng hơn mức cho phép.",
            ],
            Self::InputUnreadable => [
                "A picture that was linked to cannot be read: {message}",
                "Không thể đọc ảnh được liên kết: {message}",
            ],
            Self::DatabaseFull => [
                "The service is not available right now; try again later.",
                "Dịch vụ tạm thời không khả dụng; vui lòng thử lại sau.",
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;
    use crate::domain::Language;

    #[test]
    fn every_reason_has_a_sentence_in_every_language() {
        for reason in Reason::iter() {
            let said = Language::iter().map(|language| reason.sentence(language, "why"));
            let said: Vec<_> = said.collect();
            assert!(said.iter().all(|said| said.len() > 10), "{said:?}");
            assert_ne!(said[0], said[1]);
        }
    }
}
