//! Clients of a server, wherever it runs, that reach it through real gRPC.

use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, CreateTemplateRequest, DownloadMediaRequest,
    Feature, FeatureProperties, GenerationInput, GetJobRequest, GetRequestRequest, Job,
    ListFeaturesRequest, ListMediaRequest, ListTemplatesRequest, Media, MediaType, Request,
    Template, TemplateData, admin_service_client::AdminServiceClient,
    credit_service_client::CreditServiceClient, download_media_response::Part,
    feature_service_client::FeatureServiceClient, job_service_client::JobServiceClient,
    media_service_client::MediaServiceClient, request_service_client::RequestServiceClient,
    template_service_client::TemplateServiceClient,
};
use tonic::transport::{Channel, Endpoint};

use crate::support::script::Script;
use crate::support::server::within;

/// The user of most requests.
pub(crate) const USER: i64 = 7;

/// A connection to a server.
#[derive(Clone)]
pub(crate) struct Client {
    channel: Channel,
}

impl Client {
    pub(crate) async fn connect(url: &str) -> Self {
        let endpoint = Endpoint::from_shared(url.to_owned()).unwrap();
        let channel = within(endpoint.connect()).await.unwrap();
        Self { channel }
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn features(&self) -> FeatureServiceClient<Channel> {
        FeatureServiceClient::new(self.channel())
    }

    pub(crate) fn templates(&self) -> TemplateServiceClient<Channel> {
        TemplateServiceClient::new(self.channel())
    }

    pub(crate) fn requests(&self) -> RequestServiceClient<Channel> {
        RequestServiceClient::new(self.channel())
    }

    pub(crate) fn jobs(&self) -> JobServiceClient<Channel> {
        JobServiceClient::new(self.channel())
    }

    pub(crate) fn credits(&self) -> CreditServiceClient<Channel> {
        CreditServiceClient::new(self.channel())
    }

    pub(crate) fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel())
    }

    pub(crate) fn media(&self) -> MediaServiceClient<Channel> {
        MediaServiceClient::new(self.channel())
    }

    /// Adds a feature that must be accepted.
    pub(crate) async fn add_feature(&self, feature: CreateFeatureRequest) -> Feature {
        let created = self.features().create_feature(feature).await;
        created.unwrap().into_inner().feature.unwrap()
    }

    /// Adds a template that must be accepted.
    pub(crate) async fn add_template(&self, template: CreateTemplateRequest) -> Template {
        let created = self.templates().create_template(template).await;
        created.unwrap().into_inner().template.unwrap()
    }

    /// A feature of the starter catalogue and one of its templates, by their names.
    pub(crate) async fn starter(&self, feature: &str, template: &str) -> (i64, i64) {
        let listed = self
            .features()
            .list_features(ListFeaturesRequest::default())
            .await;
        let features = listed.unwrap().into_inner().features;
        let feature_id = features.iter().find(|it| it.name == feature).unwrap().id;
        let request = ListTemplatesRequest {
            feature_id,
            ..Default::default()
        };
        let listed = self.templates().list_templates(request).await;
        let templates = listed.unwrap().into_inner().templates;
        let template = templates.iter().find(|it| it.name == template).unwrap();
        (feature_id, template.id)
    }

    /// Adds an image feature whose jobs the scripted provider runs.
    pub(crate) async fn scripted_feature(&self) -> i64 {
        self.add_feature(scripted_feature("scripted")).await.id
    }

    /// Creates a request that must be accepted.
    pub(crate) async fn create(&self, asked: CreateRequestRequest) -> (Request, Vec<Job>) {
        let created = within(self.requests().create_request(asked)).await;
        let created = created.unwrap().into_inner();
        (created.request.unwrap(), created.jobs)
    }

    /// Adds a scripted feature and creates a request of one job for it.
    pub(crate) async fn create_scripted(&self, script: &Script) -> Job {
        let feature = self.scripted_feature().await;
        self.create(scripted_request(feature, script))
            .await
            .1
            .remove(0)
    }

    pub(crate) async fn job(&self, id: i64) -> Job {
        let found = self
            .jobs()
            .get_job(GetJobRequest {
                id,
                ..Default::default()
            })
            .await;
        found.unwrap().into_inner().job.unwrap()
    }

    pub(crate) async fn media_of(&self, job_id: i64) -> Vec<Media> {
        let request = ListMediaRequest {
            job_id,
            ..Default::default()
        };
        let listed = self.media().list_media(request).await;
        listed.unwrap().into_inner().media
    }

    /// The whole file.
    pub(crate) async fn content_of(&self, media: &Media) -> Vec<u8> {
        let request = DownloadMediaRequest {
            id: media.id,
            offset: 0,
        };
        let opened = within(self.media().download_media(request)).await;
        let mut parts = opened.unwrap().into_inner();
        let mut content = Vec::new();
        while let Some(message) = within(parts.message()).await.unwrap() {
            if let Some(Part::Chunk(chunk)) = message.part {
                content.extend_from_slice(&chunk);
            }
        }
        content
    }

    pub(crate) async fn request(&self, id: i64) -> Request {
        let found = self
            .requests()
            .get_request(GetRequestRequest {
                id,
                ..Default::default()
            })
            .await;
        found.unwrap().into_inner().request.unwrap()
    }
}

pub(crate) fn scripted_feature(name: &str) -> CreateFeatureRequest {
    CreateFeatureRequest {
        name: name.to_owned(),
        category: MediaType::Image.into(),
        properties: Some(FeatureProperties {
            provider: "scripted".to_owned(),
            omit_thumbnails: true,
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn plain_template(feature_id: i64, name: &str) -> CreateTemplateRequest {
    CreateTemplateRequest {
        feature_id,
        name: name.to_owned(),
        template_data: Some(TemplateData::default()),
        ..Default::default()
    }
}

/// A request that keeps all the rules.
pub(crate) fn request_for(feature_id: i64) -> CreateRequestRequest {
    CreateRequestRequest {
        user_id: USER,
        feature_id,
        user_prompt: "Xin chào".to_owned(),
        ..Default::default()
    }
}

pub(crate) fn scripted_request(feature_id: i64, script: &Script) -> CreateRequestRequest {
    CreateRequestRequest {
        input: Some(GenerationInput {
            extra: Some(script.extra()),
            ..Default::default()
        }),
        ..request_for(feature_id)
    }
}
