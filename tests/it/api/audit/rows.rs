//! Calls of admins that change something.

use atelier::rpc::proto::{AuditAction as Action, *};
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use prost_types::FieldMask;

use crate::support::client::{Client, USER, plain_template, scripted_feature};
use crate::support::ledger::grant;

/// Rows for calls that change something.
pub(super) struct Rows {
    feature: i64,
    /// It is deleted, and undeleted.
    spare_feature: i64,
    templates: [i64; 2],
    spare_template: i64,
    /// Its number and its name.
    worker: (i64, String),
}

/// A user who has nothing.
const ERASED: i64 = 4_711;

/// What an entry must tell; 0 is any.
pub(super) type Expected = (Action, AuditSubjectKind, i64);

impl Rows {
    pub(super) async fn make(client: &Client) -> Self {
        let feature = client.add_feature(scripted_feature("own")).await.id;
        let spare_feature = client.add_feature(scripted_feature("spare")).await.id;
        let add = async |name: &str| client.add_template(plain_template(feature, name)).await.id;
        let templates = [add("one").await, add("two").await];
        let spare_template = add("spare").await;
        let queue = client.admin().get_queue(GetQueueRequest {}).await.unwrap();
        let worker = queue.into_inner().workers.remove(0);
        Self {
            feature,
            spare_feature,
            templates,
            spare_template,
            worker: (worker.id, worker.worker_id),
        }
    }

    /// A call of the method that changes something, after those of the methods before it.
    pub(super) fn change(&self, method: &MethodDescriptor) -> (DynamicMessage, Expected) {
        let (feature, template) = (AuditSubjectKind::Feature, AuditSubjectKind::Template);
        let (bytes, expected) = match method.name() {
            "CreateFeature" => (
                scripted_feature("new").encode_to_vec(),
                (Action::CreateFeature, feature, 0),
            ),
            "UpdateFeature" => (
                self.update_feature(),
                (Action::UpdateFeature, feature, self.feature),
            ),
            "DeleteFeature" => (
                named(self.spare_feature),
                (Action::DeleteFeature, feature, self.spare_feature),
            ),
            "UndeleteFeature" => (
                named(self.spare_feature),
                (Action::UndeleteFeature, feature, self.spare_feature),
            ),
            "CreateTemplate" => (
                plain_template(self.feature, "new").encode_to_vec(),
                (Action::CreateTemplate, template, 0),
            ),
            "UpdateTemplate" => (
                self.update_template(),
                (Action::UpdateTemplate, template, self.templates[0]),
            ),
            "DeleteTemplate" => (
                named(self.spare_template),
                (Action::DeleteTemplate, template, self.spare_template),
            ),
            "UndeleteTemplate" => (
                named(self.spare_template),
                (Action::UndeleteTemplate, template, self.spare_template),
            ),
            "RestoreTemplateVersion" => (
                self.restore(),
                (Action::RestoreTemplate, template, self.templates[0]),
            ),
            "ReorderTemplates" => (
                self.reorder(),
                (Action::ReorderTemplates, feature, self.feature),
            ),
            "GrantCredits" => (
                grant(5, "walk").encode_to_vec(),
                (Action::GrantCredits, AuditSubjectKind::User, USER),
            ),
            "EraseUser" => (
                EraseUserRequest { user_id: ERASED }.encode_to_vec(),
                (Action::EraseUser, AuditSubjectKind::User, 0),
            ),
            "PauseQueue" => (
                PauseQueueRequest {
                    part: Some(self.part()),
                    reason: "walk".to_owned(),
                }
                .encode_to_vec(),
                (Action::PauseFeature, feature, self.feature),
            ),
            "ResumeQueue" => (
                ResumeQueueRequest {
                    part: Some(self.part()),
                }
                .encode_to_vec(),
                (Action::ResumeFeature, feature, self.feature),
            ),
            "DrainWorker" => (
                DrainWorkerRequest {
                    worker_id: self.worker.1.clone(),
                    reason: "walk".to_owned(),
                }
                .encode_to_vec(),
                (Action::DrainWorker, AuditSubjectKind::Worker, self.worker.0),
            ),
            "UndrainWorker" => (
                UndrainWorkerRequest {
                    worker_id: self.worker.1.clone(),
                }
                .encode_to_vec(),
                (
                    Action::UndrainWorker,
                    AuditSubjectKind::Worker,
                    self.worker.0,
                ),
            ),
            other => panic!(
                "{other} is for admins: give it a call that changes something, and an entry in the audit log"
            ),
        };
        (
            DynamicMessage::decode(method.input(), bytes.as_slice()).unwrap(),
            expected,
        )
    }

    fn update_feature(&self) -> Vec<u8> {
        let feature = Feature {
            id: self.feature,
            description: "new".to_owned(),
            ..Default::default()
        };
        UpdateFeatureRequest {
            feature: Some(feature),
            update_mask: Some(FieldMask {
                paths: vec!["description".to_owned()],
            }),
            ..Default::default()
        }
        .encode_to_vec()
    }

    fn update_template(&self) -> Vec<u8> {
        let data = TemplateData {
            prompt: "{{ user_prompt }}!".to_owned(),
            ..Default::default()
        };
        let template = Template {
            id: self.templates[0],
            template_data: Some(data),
            ..Default::default()
        };
        UpdateTemplateRequest {
            template: Some(template),
            update_mask: Some(FieldMask {
                paths: vec!["template_data.prompt".to_owned()],
            }),
            ..Default::default()
        }
        .encode_to_vec()
    }

    fn restore(&self) -> Vec<u8> {
        RestoreTemplateVersionRequest {
            id: self.templates[0],
            version: 1,
            ..Default::default()
        }
        .encode_to_vec()
    }

    fn part(&self) -> QueuePart {
        QueuePart {
            part: Some(queue_part::Part::FeatureId(self.feature)),
        }
    }

    fn reorder(&self) -> Vec<u8> {
        let [one, two] = self.templates;
        ReorderTemplatesRequest {
            feature_id: self.feature,
            template_ids: vec![two, one],
        }
        .encode_to_vec()
    }
}

/// A message that begins with the identifier, as field 1.
fn named(id: i64) -> Vec<u8> {
    UndeleteFeatureRequest { id }.encode_to_vec()
}
