use tonic::{Request, Response, Status};

use crate::{
    app::App,
    domain::{Caller, Checks, Error, FeatureDraft, FeatureProperties, Page, stored},
    entity::feature,
    store::{self, PageRequest},
};

use super::{
    caller, json,
    media::{media_type, media_type_from},
    page::{bounded_page, page_request},
    proto::{self, feature_service_server::FeatureService},
    required_id,
    time::timestamp,
};

pub(super) struct Features {
    pub(super) app: App,
}

#[tonic::async_trait]
impl FeatureService for Features {
    async fn create_feature(
        &self,
        request: Request<proto::CreateFeatureRequest>,
    ) -> Result<Response<proto::CreateFeatureResponse>, Status> {
        let caller = caller(&request);
        let feature = self.app.create_feature(draft(request.into_inner())).await?;
        Ok(Response::new(proto::CreateFeatureResponse {
            feature: Some(message(feature, caller)),
        }))
    }

    async fn get_feature(
        &self,
        request: Request<proto::GetFeatureRequest>,
    ) -> Result<Response<proto::GetFeatureResponse>, Status> {
        let caller = caller(&request);
        let id = required_id(request.get_ref().id)?;
        let feature = store::feature::find(self.app.store.reader(), id).await?;
        Ok(Response::new(proto::GetFeatureResponse {
            feature: Some(message(feature, caller)),
        }))
    }

    async fn list_features(
        &self,
        request: Request<proto::ListFeaturesRequest>,
    ) -> Result<Response<proto::ListFeaturesResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let mut checks = Checks::default();
        let page = page_request(request.page_size, request.page_token, &mut checks);
        let filter = store::feature::Filter {
            category: media_type_from("category", request.category, &mut checks),
            is_active: request.is_active,
            show_deleted: request.show_deleted,
        };
        checks.finish(())?;
        let page = bounded_page(page, |page| self.page(caller, &filter, page)).await?;
        Ok(Response::new(proto::ListFeaturesResponse {
            features: page.items,
            next_page_token: page.next_page_token,
        }))
    }
}

impl Features {
    async fn page(
        &self,
        caller: Caller,
        filter: &store::feature::Filter,
        page: PageRequest,
    ) -> Result<Page<proto::Feature>, Error> {
        let page = store::feature::list(self.app.store.reader(), filter, &page).await?;
        let features = page.items.into_iter();
        let features = features.map(|feature| message(feature, caller));
        Ok(Page {
            items: features.collect(),
            next_page_token: page.next_page_token,
        })
    }
}

fn draft(request: proto::CreateFeatureRequest) -> FeatureDraft {
    // A wrong enum value is "not said" to the domain, which asks for it by name.
    let category = media_type_from("category", request.category, &mut Checks::default());
    FeatureDraft {
        name: request.name,
        description: request.description,
        category,
        system_prompt: request.system_prompt,
        properties: request.properties.map(properties_from).unwrap_or_default(),
        preview_url: request.preview_url,
        icon_url: request.icon_url,
        is_active: request.is_active.unwrap_or(true),
        order_index: request.order_index,
    }
}

fn properties_from(properties: proto::FeatureProperties) -> FeatureProperties {
    FeatureProperties {
        provider: properties.provider,
        max_resolution: properties.max_resolution,
        formats: properties.formats,
        max_duration: i64::from(properties.max_duration_seconds),
        supported_aspect_ratios: properties.supported_aspect_ratios,
        cost_per_generation: properties.cost_per_generation,
        max_batch_size: i64::from(properties.max_batch_size),
        max_prompt_chars: i64::from(properties.max_prompt_chars),
        allow_empty_prompt: properties.allow_empty_prompt,
        extra: properties.extra.map(json::from_struct).unwrap_or_default(),
    }
}

fn message(feature: feature::Model, caller: Caller) -> proto::Feature {
    let properties = stored::show(feature.properties, |extra| FeatureProperties {
        extra,
        ..FeatureProperties::default()
    });
    proto::Feature {
        id: feature.id,
        name: feature.name,
        description: feature.description.unwrap_or_default(),
        category: media_type(feature.category).into(),
        system_prompt: feature
            .system_prompt
            .filter(|_| caller.is_trusted())
            .unwrap_or_default(),
        properties: Some(properties_message(properties)),
        preview_url: feature.preview_url.unwrap_or_default(),
        icon_url: feature.icon_url.unwrap_or_default(),
        is_active: feature.is_active,
        order_index: feature.order_index,
        create_time: Some(timestamp(feature.created_at)),
        update_time: Some(timestamp(feature.updated_at)),
        delete_time: feature.deleted_at.map(timestamp),
    }
}

fn properties_message(properties: FeatureProperties) -> proto::FeatureProperties {
    // The stored numbers were checked to be far below these bounds.
    let small = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    proto::FeatureProperties {
        provider: properties.provider,
        max_resolution: properties.max_resolution,
        formats: properties.formats,
        max_duration_seconds: small(properties.max_duration),
        supported_aspect_ratios: properties.supported_aspect_ratios,
        cost_per_generation: properties.cost_per_generation,
        max_batch_size: small(properties.max_batch_size),
        max_prompt_chars: small(properties.max_prompt_chars),
        allow_empty_prompt: properties.allow_empty_prompt,
        extra: Some(json::to_struct(properties.extra)),
    }
}
