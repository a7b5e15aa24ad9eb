//! The calls that change the catalogue, as tests make them.

use atelier::rpc::proto::{
    DeleteFeatureRequest, DeleteTemplateRequest, Feature, GetFeatureRequest, GetTemplateRequest,
    Template, UndeleteFeatureRequest, UndeleteTemplateRequest, UpdateFeatureRequest,
    UpdateTemplateRequest,
};
use prost_types::FieldMask;
use tonic::Status;

use crate::support::client::Client;

impl Client {
    pub(crate) async fn feature(&self, id: i64) -> Feature {
        let found = self
            .features()
            .get_feature(GetFeatureRequest {
                id,
                ..Default::default()
            })
            .await;
        found.unwrap().into_inner().feature.unwrap()
    }

    pub(crate) async fn update_feature(
        &self,
        feature: Feature,
        paths: &[&str],
    ) -> Result<Feature, Status> {
        let request = UpdateFeatureRequest {
            feature: Some(feature),
            update_mask: Some(mask(paths)),
            ..Default::default()
        };
        let updated = self.features().update_feature(request).await?;
        Ok(updated.into_inner().feature.unwrap())
    }

    pub(crate) async fn delete_feature(&self, id: i64, etag: &str) -> Result<Feature, Status> {
        let etag = etag.to_owned();
        let request = DeleteFeatureRequest { id, etag };
        let deleted = self.features().delete_feature(request).await?;
        Ok(deleted.into_inner().feature.unwrap())
    }

    pub(crate) async fn undelete_feature(&self, id: i64) -> Result<Feature, Status> {
        let request = UndeleteFeatureRequest { id };
        let undeleted = self.features().undelete_feature(request).await?;
        Ok(undeleted.into_inner().feature.unwrap())
    }

    pub(crate) async fn template(&self, id: i64) -> Template {
        let found = self
            .templates()
            .get_template(GetTemplateRequest {
                id,
                ..Default::default()
            })
            .await;
        found.unwrap().into_inner().template.unwrap()
    }

    pub(crate) async fn update_template(
        &self,
        template: Template,
        paths: &[&str],
    ) -> Result<Template, Status> {
        let request = UpdateTemplateRequest {
            template: Some(template),
            update_mask: Some(mask(paths)),
            ..Default::default()
        };
        let updated = self.templates().update_template(request).await?;
        Ok(updated.into_inner().template.unwrap())
    }

    pub(crate) async fn delete_template(&self, id: i64, etag: &str) -> Result<Template, Status> {
        let etag = etag.to_owned();
        let request = DeleteTemplateRequest { id, etag };
        let deleted = self.templates().delete_template(request).await?;
        Ok(deleted.into_inner().template.unwrap())
    }

    pub(crate) async fn undelete_template(&self, id: i64) -> Result<Template, Status> {
        let request = UndeleteTemplateRequest { id };
        let undeleted = self.templates().undelete_template(request).await?;
        Ok(undeleted.into_inner().template.unwrap())
    }
}

fn mask(paths: &[&str]) -> FieldMask {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    FieldMask { paths }
}
