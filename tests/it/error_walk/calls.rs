//! A call of every rpc that is fine, for the walk to spoil.

use std::cell::Cell;

use atelier::rpc::proto::*;
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use sea_orm::ConnectionTrait;

use crate::client::{Client, USER, plain_template, scripted_feature, scripted_wish, wish};
use crate::database::TestDatabase;
use crate::script::Script;
use crate::structure::structure;

use super::mutation::Deleted;

/// The name in every creation, replaced by a new one for each call.
const NAME: &str = "walk";

/// Rows to speak of: a live one and a deleted one of each kind.
pub struct Fixtures {
    live: Rows,
    deleted: Rows,
    /// Deleting it takes nothing along that others speak of.
    _script: Script,
}

#[derive(Clone, Copy, Debug)]
struct Rows {
    feature: i64,
    template: i64,
    request: i64,
    job: i64,
    media: i64,
}

impl Fixtures {
    pub async fn make(client: &Client, db: &TestDatabase) -> Self {
        let script = Script::new(&[]);
        let live = Rows::make(client, "live", &script).await;
        let deleted = Rows::make(client, "deleted", &script).await;
        deleted.delete(db).await;
        Self {
            live,
            deleted,
            _script: script,
        }
    }

    /// The deleted rows, by the fields that name them in a method's message.
    pub fn deleted_of(&self, method: &MethodDescriptor) -> Deleted {
        let rows = self.deleted;
        let mut deleted = Deleted::from([
            ("feature_id", rows.feature),
            ("template_id", rows.template),
            ("request_id", rows.request),
            ("job_id", rows.job),
            ("media_id", rows.media),
        ]);
        let own = match method.parent_service().name() {
            "FeatureService" => rows.feature,
            "TemplateService" => rows.template,
            "RequestService" => rows.request,
            "JobService" => rows.job,
            "MediaService" => rows.media,
            other => panic!("{other} is not known here"),
        };
        deleted.insert("id", own);
        deleted
    }
}

impl Rows {
    async fn make(client: &Client, name: &str, script: &Script) -> Self {
        let feature = client.add_feature(scripted_feature(name)).await.id;
        let template = client.add_template(plain_template(feature, name)).await.id;
        let (request, jobs) = client.create(scripted_wish(feature, script)).await;
        let job = client.ended(jobs[0].id).await.job.id;
        let media = client.media_of(job).await[0].id;
        Self {
            feature,
            template,
            request: request.id,
            job,
            media,
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
pub struct Calls<'a> {
    fixtures: &'a Fixtures,
    made: Cell<u32>,
}

impl<'a> Calls<'a> {
    pub fn new(fixtures: &'a Fixtures) -> Self {
        Self {
            fixtures,
            made: Cell::new(0),
        }
    }

    /// A message for the method, with as many fields set as may be.
    pub fn of(&self, method: &MethodDescriptor) -> DynamicMessage {
        let bytes = self.encoded(method.name());
        DynamicMessage::decode(method.input(), bytes.as_slice()).unwrap()
    }

    /// The message with a name that no row has.
    pub fn refresh(&self, mut message: DynamicMessage) -> DynamicMessage {
        let named = message.get_field_by_name("name");
        if named.is_some_and(|name| name.as_str() == Some(NAME)) {
            self.made.set(self.made.get() + 1);
            let name = format!("{NAME}-{}", self.made.get());
            message.set_field_by_name("name", Value::String(name));
        }
        message
    }

    fn encoded(&self, method: &str) -> Vec<u8> {
        let Rows {
            feature,
            template,
            request,
            job,
            media,
        } = self.fixtures.live;
        match method {
            "CreateFeature" => CreateFeatureRequest {
                name: NAME.to_owned(),
                ..scripted_feature(NAME)
            }
            .encode_to_vec(),
            "GetFeature" => GetFeatureRequest { id: feature }.encode_to_vec(),
            "ListFeatures" => ListFeaturesRequest::default().encode_to_vec(),
            "CreateTemplate" => self.create_template().encode_to_vec(),
            "GetTemplate" => GetTemplateRequest { id: template }.encode_to_vec(),
            "ListTemplates" => ListTemplatesRequest::default().encode_to_vec(),
            "CreateRequest" => self.create_request().encode_to_vec(),
            "GetRequest" => GetRequestRequest { id: request }.encode_to_vec(),
            "ListRequests" => ListRequestsRequest::default().encode_to_vec(),
            "GetJob" => GetJobRequest { id: job }.encode_to_vec(),
            "ListJobs" => ListJobsRequest::default().encode_to_vec(),
            "CancelJob" => CancelJobRequest { id: job }.encode_to_vec(),
            "WatchJob" => WatchJobRequest {
                job_id: job,
                after_revision: 0,
            }
            .encode_to_vec(),
            "GetMedia" => GetMediaRequest { id: media }.encode_to_vec(),
            "ListMedia" => ListMediaRequest::default().encode_to_vec(),
            "DownloadMedia" => DownloadMediaRequest { id: media }.encode_to_vec(),
            other => panic!("the walk does not know {other}: give it a message that is fine"),
        }
    }

    fn create_template(&self) -> CreateTemplateRequest {
        let variable = TemplateVariable {
            name: "guest".to_owned(),
            r#type: TemplateVariableType::String.into(),
            ..Default::default()
        };
        CreateTemplateRequest {
            template_data: Some(TemplateData {
                prompt: "For {{ guest }}: {{ user_prompt }}".to_owned(),
                variables: vec![variable],
                ..Default::default()
            }),
            ..plain_template(self.fixtures.live.feature, NAME)
        }
    }

    fn create_request(&self) -> CreateRequestRequest {
        CreateRequestRequest {
            user_id: USER,
            template_id: Some(self.fixtures.live.template),
            metadata: Some(structure(&serde_json::json!({ "order": 17 }))),
            ..wish(self.fixtures.live.feature)
        }
    }
}
