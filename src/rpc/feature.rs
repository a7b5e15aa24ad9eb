//! The calls about features.

pub(super) mod message;

use tonic::{Request, Response, Status};

use crate::{
    app::App,
    domain::{Checks, Error, Page, TemplateData, View},
    entity::feature,
    store::{self, PageRequest},
};

use super::{
    authentication::principal,
    call, caller, check_id, check_id_or_name, json,
    language::Languages,
    names::refuse_translated,
    page::{bounded_page, page_request},
    preview::{with_preview, with_previews},
    proto::{self, feature_service_server::FeatureService},
    required_id, shown,
    template::{input_defaults, input_limits, properties_of},
    view::view_from,
};

use message::{FIELDS, draft, filter_from, localized_message, message, open_ended, resource};

pub(super) struct Features {
    pub(super) app: App,
}

#[tonic::async_trait]
impl FeatureService for Features {
    async fn create_feature(
        &self,
        request: Request<proto::CreateFeatureRequest>,
    ) -> Result<Response<proto::CreateFeatureResponse>, Status> {
        let principal = principal(&request)?;
        let caller = principal.caller();
        let request = request.into_inner();
        let not_finite = json::not_finite("", open_ended(request.properties.as_ref()));
        let validate_only = request.validate_only;
        let (draft, mut checks) = draft(request);
        checks.extend(not_finite);
        let acting = self.app.acting(principal.actor());
        let feature = acting.create_feature(draft, checks, validate_only).await?;
        call::note_id(feature.id);
        Ok(Response::new(proto::CreateFeatureResponse {
            feature: with_preview(&self.app, message(feature, caller.view())).await?,
        }))
    }

    async fn get_feature(
        &self,
        request: Request<proto::GetFeatureRequest>,
    ) -> Result<Response<proto::GetFeatureResponse>, Status> {
        let caller = caller(&request)?;
        let (metadata, _, asked) = request.into_parts();
        let mut checks = Checks::default();
        check_id_or_name(asked.id, ("feature", &asked.feature), &mut checks);
        let languages = Languages::asked_for(asked.language.as_deref(), &metadata, &mut checks);
        let view = view_from(asked.view, caller, &mut checks);
        checks.finish(())?;
        let named = (asked.id, asked.feature.as_str());
        let feature = shown::feature(&self.app, caller, named).await?;
        let (properties, category) = (properties_of(&feature), feature.category);
        let (defaults, (default_width, default_height)) =
            input_defaults(&TemplateData::default(), &properties, category);
        let limits = input_limits(&properties, category, self.app.settings.intake);
        let feature = localized_message(feature, &languages, view);
        Ok(Response::new(proto::GetFeatureResponse {
            feature: with_preview(&self.app, feature).await?,
            input_limits: Some(limits),
            input_defaults: Some(defaults),
            default_width,
            default_height,
        }))
    }

    async fn list_features(
        &self,
        request: Request<proto::ListFeaturesRequest>,
    ) -> Result<Response<proto::ListFeaturesResponse>, Status> {
        let caller = caller(&request)?;
        let (metadata, _, request) = request.into_parts();
        let mut checks = Checks::default();
        let page = page_request(
            self.app.sealer(caller),
            (request.page_size, request.page_token.clone()),
            &mut checks,
        );
        let view = view_from(request.view, caller, &mut checks);
        let languages = Languages::asked_for(request.language.as_deref(), &metadata, &mut checks);
        let mut filter = filter_from(request, &mut checks);
        let (is_active, show_deleted) = (&mut filter.is_active, filter.show_deleted);
        shown::narrow(caller, is_active, show_deleted, &mut checks);
        checks.finish(())?;
        if !filter.text.is_empty() {
            self.app.fold_for_search::<feature::Entity>().await;
        }
        let page = bounded_page(page, |page| self.page(&filter, &languages, view, page)).await?;
        Ok(Response::new(proto::ListFeaturesResponse {
            features: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn update_feature(
        &self,
        request: Request<proto::UpdateFeatureRequest>,
    ) -> Result<Response<proto::UpdateFeatureResponse>, Status> {
        let principal = principal(&request)?;
        let caller = principal.caller();
        let request = request.into_inner();
        let given = request.feature.unwrap_or_default();
        let not_finite = json::not_finite("feature.", open_ended(given.properties.as_ref()));
        let (id, etag) = (given.id, given.etag.clone());
        let language = (given.language.clone(), given.original_language.clone());
        call::note_id(id);
        let given = resource(given);
        let mut of_mask = Checks::default();
        let mask = FIELDS.select(request.update_mask, &given, &mut of_mask);
        let mut checks = Checks::within("feature.");
        refuse_translated((&language.0, &language.1), &mask, &mut checks);
        checks.extend(of_mask.into_violations());
        checks.extend(not_finite);
        let change = |draft: &mut _| mask.copy(draft, &given);
        let (allow_breaking, validate_only) = (request.allow_breaking, request.validate_only);
        let acting = self.app.acting(principal.actor());
        let updated =
            acting.update_feature(id, &etag, checks, allow_breaking, validate_only, change);
        let (feature, broken_template_ids) = updated.await?;
        Ok(Response::new(proto::UpdateFeatureResponse {
            feature: with_preview(&self.app, message(feature, caller.view())).await?,
            broken_template_ids,
        }))
    }

    async fn delete_feature(
        &self,
        request: Request<proto::DeleteFeatureRequest>,
    ) -> Result<Response<proto::DeleteFeatureResponse>, Status> {
        let principal = principal(&request)?;
        let caller = principal.caller();
        let proto::DeleteFeatureRequest { id, etag } = request.into_inner();
        let mut checks = Checks::default();
        check_id("id", id, &mut checks);
        checks.etag("etag", &etag);
        checks.finish(())?;
        let feature = self
            .app
            .acting(principal.actor())
            .delete_feature(id, &etag)
            .await?;
        Ok(Response::new(proto::DeleteFeatureResponse {
            feature: with_preview(&self.app, message(feature, caller.view())).await?,
        }))
    }

    async fn undelete_feature(
        &self,
        request: Request<proto::UndeleteFeatureRequest>,
    ) -> Result<Response<proto::UndeleteFeatureResponse>, Status> {
        let principal = principal(&request)?;
        let caller = principal.caller();
        let id = required_id(request.get_ref().id)?;
        let feature = self
            .app
            .acting(principal.actor())
            .undelete_feature(id)
            .await?;
        Ok(Response::new(proto::UndeleteFeatureResponse {
            feature: with_preview(&self.app, message(feature, caller.view())).await?,
        }))
    }
}

impl Features {
    async fn page(
        &self,
        filter: &store::feature::Filter,
        languages: &Languages,
        view: View,
        page: PageRequest,
    ) -> Result<Page<proto::Feature>, Error> {
        let page = store::feature::list(self.app.store.reader(), filter, &page).await?;
        let features = page.items.into_iter();
        let features = features.map(|feature| localized_message(feature, languages, view));
        Ok(Page {
            items: with_previews(&self.app, features.collect()).await?,
            next_page_token: page.next_page_token,
        })
    }
}
