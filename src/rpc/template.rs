//! The calls about templates. A single one comes with what a form for it needs: the inputs' limits and defaults.

mod message;

use tonic::{Request, Response, Status};

use crate::{
    app::{App, Trial},
    domain::{Checks, Error, Page, Resource},
    entity::template,
    store::{self, PageRequest, template::Ranking},
};

use super::{
    batch::{MAX_IDS, batch, batch_ids, each_once},
    call, caller, check_id, json,
    page::{any_or, bounded_page, page_request},
    proto::{self, template_service_server::TemplateService},
    required_id,
};

use message::{
    FIELDS, draft, filter_from, input_defaults, input_limits, is_whole, message, open_ended,
    properties_of, ranking_from, resource,
};

/// Most templates that are put into order at once.
const MAX_REORDERED: usize = 500;

pub(super) struct Templates {
    pub(super) app: App,
}

#[tonic::async_trait]
impl TemplateService for Templates {
    async fn create_template(
        &self,
        request: Request<proto::CreateTemplateRequest>,
    ) -> Result<Response<proto::CreateTemplateResponse>, Status> {
        let request = request.into_inner();
        call::note(Resource::Feature, request.feature_id);
        let not_finite = json::not_finite("", open_ended(request.template_data.as_ref()));
        let (draft, mut checks) = draft(request);
        checks.extend(not_finite);
        let template = self.app.create_template(draft, checks).await?;
        call::note_id(template.id);
        Ok(Response::new(proto::CreateTemplateResponse {
            template: Some(message(template)),
        }))
    }

    async fn get_template(
        &self,
        request: Request<proto::GetTemplateRequest>,
    ) -> Result<Response<proto::GetTemplateResponse>, Status> {
        let id = required_id(request.get_ref().id)?;
        let db = self.app.store.reader();
        let template = store::template::find(db, id).await?;
        let feature = store::feature::find(db, template.feature_id).await?;
        let properties = properties_of(&feature);
        let (defaults, (width, height)) = input_defaults(&template, &properties, feature.category);
        Ok(Response::new(proto::GetTemplateResponse {
            input_limits: Some(input_limits(
                &properties,
                feature.category,
                self.app.settings.intake,
            )),
            input_defaults: Some(defaults),
            default_width: i32::try_from(width).unwrap_or(i32::MAX),
            default_height: i32::try_from(height).unwrap_or(i32::MAX),
            template: Some(message(template)),
        }))
    }

    async fn batch_get_templates(
        &self,
        request: Request<proto::BatchGetTemplatesRequest>,
    ) -> Result<Response<proto::BatchGetTemplatesResponse>, Status> {
        let mut checks = Checks::default();
        let ids = batch_ids(request.into_inner().ids, &mut checks);
        checks.finish(())?;
        let db = self.app.store.reader();
        let found = store::template::find_all(db, ids.iter().copied()).await?;
        let messages = found.into_iter().map(message);
        let batch = batch(ids, messages, |it| it.id);
        Ok(Response::new(proto::BatchGetTemplatesResponse {
            templates: batch.items,
            missing_ids: batch.missing_ids,
            left_out_ids: batch.left_out_ids,
        }))
    }

    async fn list_templates(
        &self,
        request: Request<proto::ListTemplatesRequest>,
    ) -> Result<Response<proto::ListTemplatesResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let (order, view) = (request.order, request.view);
        let page = page_request(request.page_size, request.page_token.clone(), &mut checks);
        let filter = filter_from(request, &mut checks);
        let ranking = ranking_from(order, &mut checks);
        let whole = is_whole(view, &mut checks);
        checks.finish(())?;
        if filter.searches() {
            self.app.fold_for_search::<template::Entity>().await;
        }
        let page = bounded_page(page, |page| self.page(&filter, ranking, whole, page)).await?;
        Ok(Response::new(proto::ListTemplatesResponse {
            templates: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn list_tags(
        &self,
        request: Request<proto::ListTagsRequest>,
    ) -> Result<Response<proto::ListTagsResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let page = page_request(request.page_size, request.page_token, &mut checks);
        checks.optional_id("feature_id", request.feature_id);
        checks.finish(())?;
        let filter = store::tag::Filter {
            feature_id: any_or(request.feature_id),
            is_active: request.is_active,
        };
        let page = store::tag::list(self.app.store.reader(), &filter, &page).await?;
        let tags = page.items.into_iter().map(|tag| proto::Tag {
            name: tag.name,
            template_count: tag.templates,
        });
        Ok(Response::new(proto::ListTagsResponse {
            tags: tags.collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn record_template_view(
        &self,
        request: Request<proto::RecordTemplateViewRequest>,
    ) -> Result<Response<proto::RecordTemplateViewResponse>, Status> {
        let caller = caller(&request);
        let view = request.into_inner();
        call::note_id(view.template_id);
        let counted = self
            .app
            .record_template_view(caller, view.template_id, view.user_id)
            .await?;
        Ok(Response::new(proto::RecordTemplateViewResponse { counted }))
    }

    async fn record_template_views(
        &self,
        request: Request<proto::RecordTemplateViewsRequest>,
    ) -> Result<Response<proto::RecordTemplateViewsResponse>, Status> {
        let caller = caller(&request);
        let views = request.into_inner();
        let mut checks = Checks::default();
        let ids = each_once("template_ids", views.template_ids, MAX_IDS, &mut checks);
        checks.id("user_id", views.user_id);
        checks.finish(())?;
        let counted = self.app.record_template_views(caller, &ids, views.user_id);
        Ok(Response::new(proto::RecordTemplateViewsResponse {
            counted_ids: counted.await?,
        }))
    }

    async fn reorder_templates(
        &self,
        request: Request<proto::ReorderTemplatesRequest>,
    ) -> Result<Response<proto::ReorderTemplatesResponse>, Status> {
        let proto::ReorderTemplatesRequest {
            feature_id,
            template_ids,
        } = request.into_inner();
        call::note(Resource::Feature, feature_id);
        let mut checks = Checks::default();
        checks.id("feature_id", feature_id);
        let named = template_ids.len();
        let ids = each_once("template_ids", template_ids, MAX_REORDERED, &mut checks);
        checks.require(ids.len() == named, "template_ids", || {
            "must not name a template twice".to_owned()
        });
        checks.finish(())?;
        let templates = self.app.reorder_templates(feature_id, &ids).await?;
        let templates = templates.into_iter().map(|template| proto::Template {
            template_data: None,
            ..message(template)
        });
        Ok(Response::new(proto::ReorderTemplatesResponse {
            templates: templates.collect(),
        }))
    }

    async fn update_template(
        &self,
        request: Request<proto::UpdateTemplateRequest>,
    ) -> Result<Response<proto::UpdateTemplateResponse>, Status> {
        let request = request.into_inner();
        let given = request.template.unwrap_or_default();
        let not_finite = json::not_finite("template.", open_ended(given.template_data.as_ref()));
        let (id, etag) = (given.id, given.etag.clone());
        call::note_id(id);
        call::note(Resource::Feature, given.feature_id);
        let (given, problems) = resource(given, "template.");
        let mut checks = Checks::default();
        let mask = FIELDS.select(request.update_mask, &given, &mut checks);
        for (path, problems) in problems {
            if mask.covers(path) {
                checks.extend(problems.into_violations());
            }
        }
        let mut of_template = Checks::within("template.");
        of_template.extend(checks.into_violations());
        of_template.extend(not_finite);
        let change = |draft: &mut _| mask.copy(draft, &given);
        let updated = self.app.update_template(id, &etag, of_template, change);
        Ok(Response::new(proto::UpdateTemplateResponse {
            template: Some(message(updated.await?)),
        }))
    }

    async fn delete_template(
        &self,
        request: Request<proto::DeleteTemplateRequest>,
    ) -> Result<Response<proto::DeleteTemplateResponse>, Status> {
        let proto::DeleteTemplateRequest { id, etag } = request.into_inner();
        let mut checks = Checks::default();
        check_id("id", id, &mut checks);
        checks.etag("etag", &etag);
        checks.finish(())?;
        let template = self.app.delete_template(id, &etag).await?;
        Ok(Response::new(proto::DeleteTemplateResponse {
            template: Some(message(template)),
        }))
    }

    async fn undelete_template(
        &self,
        request: Request<proto::UndeleteTemplateRequest>,
    ) -> Result<Response<proto::UndeleteTemplateResponse>, Status> {
        let id = required_id(request.get_ref().id)?;
        let template = self.app.undelete_template(id).await?;
        Ok(Response::new(proto::UndeleteTemplateResponse {
            template: Some(message(template)),
        }))
    }

    async fn render_template(
        &self,
        request: Request<proto::RenderTemplateRequest>,
    ) -> Result<Response<proto::RenderTemplateResponse>, Status> {
        let request = request.into_inner();
        call::note_id(request.template_id);
        let mut checks = Checks::default();
        json::check_finite("variables", request.variables.values(), &mut checks);
        let trial = Trial {
            template_id: request.template_id,
            user_prompt: request.user_prompt,
            variables: json::from_map(request.variables),
        };
        let rendered = self.app.render_template(trial, checks).await?;
        Ok(Response::new(proto::RenderTemplateResponse {
            prompt: rendered.prompt,
            negative_prompt: rendered.negative_prompt,
            variables: json::to_struct(rendered.variables)
                .fields
                .into_iter()
                .collect(),
        }))
    }
}

impl Templates {
    async fn page(
        &self,
        filter: &store::template::Filter,
        ranking: Ranking,
        whole: bool,
        page: PageRequest,
    ) -> Result<Page<proto::Template>, Error> {
        let db = self.app.store.reader();
        let page = store::template::list(db, filter, ranking, &page, whole).await?;
        let templates = page.items.into_iter().map(message);
        let templates = templates.map(|template| proto::Template {
            template_data: template.template_data.filter(|_| whole),
            ..template
        });
        Ok(Page {
            items: templates.collect(),
            next_page_token: page.next_page_token,
        })
    }
}
