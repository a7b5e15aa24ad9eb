//! Sentences for users, in the language that a call asks for, and the same for programs.

use atelier::rpc::proto::{
    CreateRequestRequest, GenerationInput, GetJobRequest, JobStatus, LoraWeights, OutputSettings,
    ViolationDetail, WatchJobRequest,
};
use tonic::{Request, Status};
use tonic_types::StatusExt;

use crate::support::client::{request_for, scripted_feature};
use crate::support::database::on_both_databases;
use crate::support::refusal::{details_of_violations, refusal};
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

on_both_databases! {
    async fn a_violation_has_its_bounds_for_programs_and_a_sentence_in_the_caller_s_language(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let mut feature = scripted_feature("scripted");
        feature.properties.get_or_insert_default().formats = vec!["png".to_owned(), "jpg".to_owned()];
        let feature = server.add_feature(feature).await.id;
        let asked = CreateRequestRequest {
            user_prompt: "ế".repeat(4_001),
            input: Some(GenerationInput {
                cfg_scale: Some(50.5),
                variations: -1,
                lora_weights: Some(LoraWeights { weights: [("x".to_owned(), 9.0)].into() }),
                output: Some(OutputSettings { format: Some("gif".to_owned()), ..Default::default() }),
                ..Default::default()
            }),
            user_media_urls: vec!["no link".to_owned()],
            ..request_for(feature)
        };
        let refused = |language: &'static str| {
            let (server, asked) = (&server, asked.clone());
            async move { server.requests().create_request(speaking(language, asked)).await.unwrap_err() }
        };
        let status = refused("fr, vi-VN;q=0.9, en;q=0.1").await;
        let bounds = |min, max, allowed: &[&str], found: &str| ViolationDetail {
            min, max, allowed: allowed.iter().map(|it| (*it).to_owned()).collect(), found: found.to_owned(),
        };
        let expected = [
            ("user_prompt", "TOO_LONG", "Quá dài: tối đa 4000, hiện có 4001.", bounds(None, Some(4_000.0), &[], "4001")),
            ("user_media_urls[0]", "MALFORMED", "Không đúng định dạng.", bounds(None, None, &[], "")),
            ("input.cfg_scale", "OUT_OF_RANGE", "Phải trong khoảng từ 0 đến 50.", bounds(Some(0.0), Some(50.0), &[], "50.5")),
            ("input.lora_weights.weights.x", "OUT_OF_RANGE", "Phải trong khoảng từ -4 đến 4.", bounds(Some(-4.0), Some(4.0), &[], "9")),
            ("input.variations", "OUT_OF_RANGE", "Phải từ 0 trở lên.", bounds(Some(0.0), None, &[], "-1")),
            ("input.output.format", "NOT_ONE_OF", "Hãy chọn một trong: png, jpg.", bounds(None, None, &["png", "jpg"], "gif")),
        ];
        let told = violations(&status).into_iter().zip(details_of_violations(&status));
        let told: Vec<_> = told.map(|((field, reason, said), detail)| (field, reason, said, detail)).collect();
        let expected = expected.map(|(field, reason, said, detail)| {
            (field.to_owned(), reason.to_owned(), said.to_owned(), detail)
        });
        assert_eq!(told, expected);
        assert_eq!(sentence(&status), ("vi".to_owned(), "Vui lòng kiểm tra lại nội dung đã nhập.".to_owned()));
        assert!(status.message().starts_with("user_prompt: must have at most 4000 characters, has 4001; "), "{status:?}");

        let status = refused("ja").await;
        assert_eq!(sentence(&status), ("en".to_owned(), "Please check what you entered.".to_owned()));
        assert_eq!(violations(&status)[2].2, "This must be from 0 to 50.");
        refusal(Err::<(), _>(status));
    }

    async fn the_error_of_a_job_is_told_in_the_caller_s_language_by_calls_and_streams(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["fail"]);
        let id = server.create_scripted(&script).await.id;
        for (language, said) in [("vi", "Trình tạo đã gặp lỗi."), ("en", "The generator failed.")] {
            let asked = WatchJobRequest { id, after_revision: 0, ..Default::default() };
            let mut watch = server.jobs().watch_job(speaking(language, asked)).await.unwrap().into_inner();
            let mut last = None;
            while let Some(message) = within(watch.message()).await.unwrap() {
                last = message.job.or(last);
            }
            let last = last.unwrap();
            assert_eq!((last.status(), last.error.unwrap().message.as_str()), (JobStatus::Failed, said));
            let asked = speaking(language, GetJobRequest { id, ..Default::default() });
            let error = server.jobs().get_job(asked).await.unwrap().into_inner().job.unwrap().error.unwrap();
            assert_eq!((error.code.as_str(), error.message.as_str()), ("PROVIDER_FAILED", said));
        }
        let missing = server.jobs().get_job(speaking("vi", GetJobRequest { id: 999_999, ..Default::default() })).await.unwrap_err();
        assert_eq!(sentence(&missing).1, "Tác vụ này không tồn tại.");
    }
}

fn speaking<T>(language: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let language = language.parse().unwrap();
    request.metadata_mut().insert("accept-language", language);
    request
}

fn sentence(status: &Status) -> (String, String) {
    let said = status.get_details_localized_message().unwrap();
    (said.locale, said.message)
}

/// Field, reason and sentence of each.
fn violations(status: &Status) -> Vec<(String, String, String)> {
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let told = violations.into_iter().map(|violation| {
        let said = violation.localized_message.unwrap().message;
        (violation.field, violation.reason, said)
    });
    told.collect()
}
