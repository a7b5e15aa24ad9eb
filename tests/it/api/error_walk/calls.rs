//! A call of every rpc that is fine, for the walk to spoil.

use std::cell::Cell;

use atelier::rpc::proto::*;
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use prost_types::FieldMask;
use sea_orm::ConnectionTrait;

use crate::support::client::{
    Client, USER, plain_template, request_for, scripted_feature, scripted_request,
};
use crate::support::database::TestDatabase;
use crate::support::http::browser;
use crate::support::script::Script;
use crate::support::structure::structure;
use crate::support::uploads::picture_named;

use super::mutation::Deleted;

/// The name in every creation, replaced by a new one for each call.
const NAME: &str = "walk";

/// A user who has nothing.
const NOBODY: i64 = 4_711;

/// Rows to speak of, of each kind.
pub(in crate::api) struct Fixtures {
    live: Rows,
    /// Live ones that are updated, or would be deleted if their call were fine.
    changing: Rows,
    deleted: Rows,
    erasure: i64,
    /// Of an upload that has come.
    upload_token: String,
    /// Name of one that runs jobs.
    worker: String,
    _script: Script,
}

#[derive(Clone, Copy, Debug)]
struct Rows {
    feature: i64,
    template: i64,
    request: i64,
    job: i64,
    media: i64,
    share: i64,
    upload: i64,
}

impl Fixtures {
    pub(in crate::api) async fn make(client: &Client, db: &TestDatabase) -> Self {
        let script = Script::new(&[]);
        let live = Rows::make(client, "live", &script).await;
        let changing = Rows::make(client, "changing", &script).await;
        let deleted = Rows::make(client, "deleted", &script).await;
        let asked = EraseUserRequest { user_id: NOBODY };
        let erased = client.admin().erase_user(asked).await.unwrap();
        let queue = client.admin().get_queue(GetQueueRequest {}).await.unwrap();
        let fixtures = Self {
            worker: queue.into_inner().workers.remove(0).worker_id,
            live,
            changing,
            deleted,
            erasure: erased.into_inner().erasure.unwrap().id,
            upload_token: put(client, &picture_named("put")).await,
            _script: script,
        };
        fixtures.delete(db).await;
        fixtures
    }

    /// Deletes those that are to be deleted, also after a call has brought one back.
    pub(in crate::api) async fn delete(&self, db: &TestDatabase) {
        self.deleted.delete(db).await;
    }

    /// The deleted rows, by the fields that name them in a method's message.
    pub(in crate::api) fn deleted_of(&self, method: &MethodDescriptor) -> Deleted {
        let rows = self.deleted;
        let mut deleted = Deleted::from([
            ("feature_id", rows.feature),
            ("template_id", rows.template),
            ("request_id", rows.request),
            ("job_id", rows.job),
            ("media_id", rows.media),
            ("share_id", rows.share),
        ]);
        let own = match method.parent_service().name() {
            "FeatureService" => rows.feature,
            "TemplateService" => rows.template,
            "RequestService" => rows.request,
            "JobService" => rows.job,
            // Uploads are removed, and not deleted.
            "MediaService" if method.name().ends_with("Upload") => 0,
            "MediaService" => rows.media,
            // It names none of its own.
            "AdminService" | "CreditService" => 0,
            other => panic!("{other} is not known here"),
        };
        deleted.insert("id", own);
        deleted.insert("ids", own);
        deleted
    }
}

impl Rows {
    async fn make(client: &Client, name: &str, script: &Script) -> Self {
        let feature = client.add_feature(scripted_feature(name)).await.id;
        let template = client.add_template(template(feature, name)).await.id;
        let (request, jobs) = client.create(scripted_request(feature, script)).await;
        let job = client.ended(jobs[0].id).await.job.id;
        let media = client.media_of(job).await[0].id;
        let share = ShareMediaRequest {
            media_id: media,
            ..Default::default()
        };
        let shared = client.media().share_media(share).await.unwrap();
        Self {
            feature,
            template,
            request: request.id,
            job,
            media,
            share: shared.into_inner().share.unwrap().id,
            upload: client.upload(USER, &picture_named(name)).await.id,
        }
    }

    async fn delete(self, db: &TestDatabase) {
        let connection = db.connect().await;
        for (table, id) in [
            ("generation_features", self.feature),
            ("generation_templates", self.template),
            ("generation_requests", self.request),
            ("generation_jobs", self.job),
            ("generation_media", self.media),
        ] {
            let delete = format!("UPDATE {table} SET deleted_at = created_at WHERE id = {id}");
            connection.execute_unprepared(&delete).await.unwrap();
        }
    }
}

/// Messages that are fine.
pub(in crate::api) struct Calls<'a> {
    fixtures: &'a Fixtures,
    made: Cell<u32>,
}

impl<'a> Calls<'a> {
    pub(in crate::api) fn new(fixtures: &'a Fixtures) -> Self {
        Self {
            fixtures,
            made: Cell::new(0),
        }
    }

    /// A message for the method, with as many fields set as may be.
    pub(in crate::api) fn of(&self, method: &MethodDescriptor) -> DynamicMessage {
        let bytes = self.encoded(method.name());
        DynamicMessage::decode(method.input(), bytes.as_slice()).unwrap()
    }

    /// The message with a name that no row has.
    pub(in crate::api) fn refresh(&self, mut message: DynamicMessage) -> DynamicMessage {
        let named = message.get_field_by_name("name");
        if named.is_some_and(|name| name.as_str() == Some(NAME)) {
            self.made.set(self.made.get() + 1);
            let name = format!("{NAME}-{}", self.made.get());
            message.set_field_by_name("name", Value::String(name));
        }
        message
    }

    fn encoded(&self, method: &str) -> Vec<u8> {
        match method {
            "CreateFeature" => scripted_feature(NAME).encode_to_vec(),
            "CreateTemplate" => self.create_template().encode_to_vec(),
            "CreateRequest" => self.create_request().encode_to_vec(),
            "UpdateFeature" => self.update_feature().encode_to_vec(),
            "UpdateTemplate" => self.update_template().encode_to_vec(),
            "RenderTemplate" => RenderTemplateRequest {
                id: self.fixtures.live.template,
                user_prompt: "Xin chào".to_owned(),
                ..Default::default()
            }
            .encode_to_vec(),
            "PreviewTemplate" => PreviewTemplateRequest {
                user_id: USER,
                feature_id: self.fixtures.live.feature,
                template_id: Some(self.fixtures.live.template),
                template_data: self.create_template().template_data,
                user_prompt: "Xin chào".to_owned(),
                ..Default::default()
            }
            .encode_to_vec(),
            "ListTemplateVersions" => ListTemplateVersionsRequest {
                template_id: self.fixtures.live.template,
                ..Default::default()
            }
            .encode_to_vec(),
            "RestoreTemplateVersion" => RestoreTemplateVersionRequest {
                id: self.fixtures.live.template,
                version: 1,
                ..Default::default()
            }
            .encode_to_vec(),
            "RecordTemplateViews" => RecordTemplateViewsRequest {
                ids: vec![self.fixtures.live.template],
                user_id: USER,
            }
            .encode_to_vec(),
            "ReorderTemplates" => ReorderTemplatesRequest {
                feature_id: self.fixtures.live.feature,
                template_ids: vec![self.fixtures.live.template],
            }
            .encode_to_vec(),
            "UpdateRequest" => UpdateRequestRequest {
                request: Some(Request {
                    id: self.fixtures.changing.request,
                    title: "walk".to_owned(),
                    ..Default::default()
                }),
                update_mask: Some(everything()),
            }
            .encode_to_vec(),
            "UpdateRequests" => UpdateRequestsRequest {
                user_id: USER,
                project_id: 7,
                new_project_id: Some(8),
            }
            .encode_to_vec(),
            "BatchDeleteRequests" | "BatchUndeleteRequests" => {
                self.entries(self.fixtures.changing.request)
            }
            "BatchDeleteMedia" | "BatchUndeleteMedia" => self.entries(self.fixtures.changing.media),
            "RecordTemplateView" => RecordTemplateViewRequest {
                id: self.fixtures.live.template,
                user_id: USER,
                ..Default::default()
            }
            .encode_to_vec(),
            "WatchRequest" => WatchRequestRequest {
                id: self.fixtures.live.request,
                ..Default::default()
            }
            .encode_to_vec(),
            "WatchRequests" => WatchRequestsRequest {
                ids: vec![self.fixtures.live.request],
                ..Default::default()
            }
            .encode_to_vec(),
            "WatchUser" => WatchUserRequest {
                user_id: USER,
                ..Default::default()
            }
            .encode_to_vec(),
            "WatchJob" => WatchJobRequest {
                id: self.fixtures.live.job,
                ..Default::default()
            }
            .encode_to_vec(),
            "ListJobEvents" => ListJobEventsRequest {
                job_id: self.fixtures.live.job,
                ..Default::default()
            }
            .encode_to_vec(),
            "EraseUser" => EraseUserRequest { user_id: NOBODY }.encode_to_vec(),
            "ExportUser" => ExportUserRequest {
                user_id: USER,
                omit_files: true,
            }
            .encode_to_vec(),
            "GetErasure" => GetErasureRequest {
                id: self.fixtures.erasure,
            }
            .encode_to_vec(),
            "GetBalance" => GetBalanceRequest { user_id: USER }.encode_to_vec(),
            "GrantCredits" => GrantCreditsRequest {
                user_id: USER,
                amount: 10,
                expire_time: None,
                reason: "walk".to_owned(),
                idempotency_key: "walk".to_owned(),
            }
            .encode_to_vec(),
            "GetRetentionReport" | "GetQueue" => Vec::new(),
            "PauseQueue" => PauseQueueRequest {
                part: Some(self.part()),
                reason: "walk".to_owned(),
            }
            .encode_to_vec(),
            "DrainWorker" => DrainWorkerRequest {
                worker_id: self.fixtures.worker.clone(),
                reason: "walk".to_owned(),
            }
            .encode_to_vec(),
            "UndrainWorker" => UndrainWorkerRequest {
                worker_id: self.fixtures.worker.clone(),
            }
            .encode_to_vec(),
            "ResumeQueue" => ResumeQueueRequest {
                part: Some(self.part()),
            }
            .encode_to_vec(),
            "GetLimits" => GetLimitsRequest {
                user_id: USER,
                ..Default::default()
            }
            .encode_to_vec(),
            "EstimateCost" => EstimateCostRequest {
                request: Some(self.create_request()),
            }
            .encode_to_vec(),
            "FindMedia" => FindMediaRequest {
                subject: Some(find_media_request::Subject::Sha256("0".repeat(64))),
                ..Default::default()
            }
            .encode_to_vec(),
            "ShareMedia" => ShareMediaRequest {
                media_id: self.fixtures.live.media,
                title: "walk".to_owned(),
                ..Default::default()
            }
            .encode_to_vec(),
            "UnshareMedia" => UnshareMediaRequest {
                share_id: self.fixtures.changing.share,
            }
            .encode_to_vec(),
            "ListShares" => ListSharesRequest {
                media_id: self.fixtures.live.media,
                ..Default::default()
            }
            .encode_to_vec(),
            "UploadMedia" => UploadMediaRequest {
                part: Some(upload_media_request::Part::Head(UploadHead {
                    user_id: USER,
                    ..Default::default()
                })),
            }
            .encode_to_vec(),
            "CreateUploadUrl" => create_upload_url(1_000).encode_to_vec(),
            "CompleteUpload" => CompleteUploadRequest {
                upload_token: self.fixtures.upload_token.clone(),
            }
            .encode_to_vec(),
            list if list.starts_with("List") || list.starts_with("Count") => Vec::new(),
            named => self.named(named),
        }
    }

    /// A message of which all that matters is the row that it names.
    fn named(&self, method: &str) -> Vec<u8> {
        if let Some(rows) = method.strip_prefix("BatchGet") {
            return self.batch(rows);
        }
        let rows = match method.starts_with("Delete") {
            true => self.fixtures.changing,
            false => self.fixtures.live,
        };
        let verbs = [
            "Get", "Delete", "Undelete", "Cancel", "Retry", "Download", "Diagnose",
        ];
        let verb = verbs.iter().find_map(|verb| method.strip_prefix(verb));
        let id = match verb {
            Some("Feature") => rows.feature,
            Some("Template") => rows.template,
            Some("Request") => rows.request,
            Some("Job") => rows.job,
            Some("Media") => rows.media,
            Some("Upload") => rows.upload,
            _ => panic!("the walk does not know {method}: give it a message that is fine"),
        };
        // They all begin with the identifier, as field 1.
        GetJobRequest {
            id,
            ..Default::default()
        }
        .encode_to_vec()
    }

    /// They are all alike.
    fn entries(&self, id: i64) -> Vec<u8> {
        let entry = VersionedId {
            id,
            etag: String::new(),
        };
        BatchDeleteRequestsRequest {
            entries: vec![entry],
        }
        .encode_to_vec()
    }

    fn batch(&self, rows: &str) -> Vec<u8> {
        let live = self.fixtures.live;
        let id = match rows {
            "Templates" => live.template,
            "Requests" => live.request,
            "Jobs" => live.job,
            "Media" => live.media,
            _ => panic!("the walk does not know of batches of {rows}"),
        };
        // They are all alike.
        BatchGetJobsRequest {
            ids: vec![id],
            ..Default::default()
        }
        .encode_to_vec()
    }

    fn update_feature(&self) -> UpdateFeatureRequest {
        let CreateFeatureRequest {
            category,
            properties,
            ..
        } = scripted_feature(NAME);
        let feature = Feature {
            id: self.fixtures.changing.feature,
            name: "changing".to_owned(),
            category,
            properties,
            is_active: true,
            ..Default::default()
        };
        UpdateFeatureRequest {
            feature: Some(feature),
            update_mask: Some(everything()),
            ..Default::default()
        }
    }

    fn update_template(&self) -> UpdateTemplateRequest {
        let template = Template {
            id: self.fixtures.changing.template,
            name: "changing".to_owned(),
            template_data: self.create_template().template_data,
            is_active: true,
            ..Default::default()
        };
        UpdateTemplateRequest {
            template: Some(template),
            update_mask: Some(everything()),
            ..Default::default()
        }
    }

    fn part(&self) -> QueuePart {
        QueuePart {
            part: Some(queue_part::Part::FeatureId(self.fixtures.live.feature)),
        }
    }

    fn create_template(&self) -> CreateTemplateRequest {
        template(self.fixtures.live.feature, NAME)
    }

    fn create_request(&self) -> CreateRequestRequest {
        CreateRequestRequest {
            user_id: USER,
            template_id: Some(self.fixtures.live.template),
            metadata: Some(structure(&serde_json::json!({ "order": 17 }))),
            ..request_for(self.fixtures.live.feature)
        }
    }
}

fn create_upload_url(file_size: usize) -> CreateUploadUrlRequest {
    CreateUploadUrlRequest {
        user_id: USER,
        file_size: file_size.try_into().unwrap(),
        content_type: "image/png".to_owned(),
        ..Default::default()
    }
}

/// Puts a file, and returns the token of its upload.
async fn put(client: &Client, file: &[u8]) -> String {
    let mut media = client.media();
    let asked = media.create_upload_url(create_upload_url(file.len()));
    let made = asked.await.unwrap().into_inner();
    let put = browser().put(&made.url).header("content-type", "image/png");
    let answer = put.body(file.to_vec()).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    made.upload_token
}

fn everything() -> FieldMask {
    FieldMask {
        paths: vec!["*".to_owned()],
    }
}

/// A template with a variable, named as the walk names the entry of a map.
fn template(feature_id: i64, name: &str) -> CreateTemplateRequest {
    let variable = TemplateVariable {
        name: "a".to_owned(),
        r#type: TemplateVariableType::String.into(),
        ..Default::default()
    };
    CreateTemplateRequest {
        template_data: Some(TemplateData {
            prompt: "For {{ a }}: {{ user_prompt }}".to_owned(),
            variables: vec![variable],
            ..Default::default()
        }),
        ..plain_template(feature_id, name)
    }
}
