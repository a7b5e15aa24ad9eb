//! The calls about templates. A single one comes with what a form for it needs: the inputs' limits and defaults.

pub(super) mod message;
mod preview;
mod version;

use tonic::{Request, Response, Status};

use crate::{
    app::{App, Trial},
    domain::{Caller, Checks, Error, Flaw, Page, Resource, View},
    entity::template,
    store::{self, PageRequest, template::Ranking},
};

use super::{
    authentication::principal,
    batch::{MAX_IDS, batch, batch_ids, each_once},
    call, caller, check_id, check_id_or_name, json,
    language::Languages,
    names::refuse_translated,
    page::{any_or, bounded_page, page_request},
    preview::{with_preview, with_previews},
    proto::{self, template_service_server::TemplateService},
    required_id, shown,
    view::view_from,
};

use message::{
    FIELDS, data_of, draft, filter_from, localized_message, message, open_ended, ranking_from,
    resource,
};

pub(super) use message::{input_defaults, input_limits, properties_of};

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
        let principal = principal(&request)?;
        let caller = principal.caller();
        let mut request = request.into_inner();
        let by_both = request.feature_id != 0 && !request.feature.is_empty();
        if request.feature_id == 0 && !request.feature.is_empty() {
            let db = self.app.store.reader();
            request.feature_id = store::feature::find_named(db, &request.feature).await?.id;
        }
        call::note(Resource::Feature, request.feature_id);
        let not_finite = json::not_finite("", open_ended(request.template_data.as_ref()));
        let validate_only = request.validate_only;
        let (draft, mut checks) = draft(request);
        checks.require(!by_both, "feature", || {
            Flaw::Conflict.says("must be left out beside feature_id")
        });
        checks.extend(not_finite);
        let acting = self.app.acting(principal.actor());
        let template = acting.create_template(draft, checks, validate_only).await?;
        call::note_id(template.id);
        Ok(Response::new(proto::CreateTemplateResponse {
            template: with_preview(&self.app, message(template, caller.view())).await?,
        }))
    }

    async fn get_template(
        &self,
        request: Request<proto::GetTemplateRequest>,
    ) -> Result<Response<proto::GetTemplateResponse>, Status> {
        let caller = caller(&request)?;
        let (metadata, _, asked) = request.into_parts();
        let mut checks = Checks::default();
        check_id_or_name(asked.id, ("template", &asked.template), &mut checks);
        let languages = Languages::asked_for(asked.language.as_deref(), &metadata, &mut checks);
        let view = view_from(asked.view, caller, &mut checks);
        checks.finish(())?;
        let named = (asked.id, asked.template.as_str());
        let (template, feature) = shown::template(&self.app, caller, named).await?;
        let properties = properties_of(&feature);
        let mut data = data_of(&template);
        if view < View::Full {
            data.negative_prompt.clear();
        }
        let (defaults, (default_width, default_height)) =
            input_defaults(&data, &properties, feature.category);
        let template = localized_message(template, &languages, view);
        Ok(Response::new(proto::GetTemplateResponse {
            input_limits: Some(input_limits(
                &properties,
                feature.category,
                self.app.settings.intake,
            )),
            input_defaults: Some(defaults),
            default_width,
            default_height,
            template: with_preview(&self.app, template).await?,
        }))
    }

    async fn batch_get_templates(
        &self,
        request: Request<proto::BatchGetTemplatesRequest>,
    ) -> Result<Response<proto::BatchGetTemplatesResponse>, Status> {
        let caller = caller(&request)?;
        let (metadata, _, asked) = request.into_parts();
        let mut checks = Checks::default();
        let ids = batch_ids(asked.ids, &mut checks);
        let languages = Languages::asked_for(asked.language.as_deref(), &metadata, &mut checks);
        let view = view_from(asked.view, caller, &mut checks);
        checks.finish(())?;
        let db = self.app.store.reader();
        let all = caller.is_trusted();
        let found = store::template::find_all(db, ids.iter().copied(), all).await?;
        let messages = found.into_iter();
        let messages = messages.map(|template| localized_message(template, &languages, view));
        let messages = with_previews(&self.app, messages.collect()).await?;
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
        let caller = caller(&request)?;
        let (metadata, _, request) = request.into_parts();
        let mut checks = Checks::default();
        let (order, view) = (request.order, view_from(request.view, caller, &mut checks));
        let languages = Languages::asked_for(request.language.as_deref(), &metadata, &mut checks);
        let page = page_request(
            self.app.sealer(caller),
            (request.page_size, request.page_token.clone()),
            &mut checks,
        );
        let mut filter = filter_from(request, &mut checks);
        let (is_active, show_deleted) = (&mut filter.is_active, filter.show_deleted);
        shown::narrow(caller, is_active, show_deleted, &mut checks);
        filter.of_offered = !caller.is_trusted();
        let ranking = ranking_from(order, &mut checks);
        checks.finish(())?;
        if filter.searches() {
            self.app.fold_for_search::<template::Entity>().await;
        }
        let page = bounded_page(page, |page| {
            self.page(&filter, ranking, (&languages, view), page)
        })
        .await?;
        Ok(Response::new(proto::ListTemplatesResponse {
            templates: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn list_tags(
        &self,
        request: Request<proto::ListTagsRequest>,
    ) -> Result<Response<proto::ListTagsResponse>, Status> {
        let caller = caller(&request)?;
        let mut request = request.into_inner();
        let mut checks = Checks::default();
        let page = page_request(
            self.app.sealer(caller),
            (request.page_size, request.page_token),
            &mut checks,
        );
        checks.optional_id("feature_id", request.feature_id);
        shown::narrow(caller, &mut request.is_active, false, &mut checks);
        checks.finish(())?;
        let filter = store::tag::Filter {
            feature_id: any_or(request.feature_id),
            is_active: request.is_active,
            of_offered: !caller.is_trusted(),
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
        let principal = principal(&request)?;
        let caller = principal.caller();
        let view = request.into_inner();
        let user_id = principal.acts_for(view.user_id)?;
        let mut checks = Checks::default();
        let named = (view.id, view.template.as_str());
        let id = self.id_of(caller, named, &mut checks).await?;
        let counted = self.app.record_template_view(caller, id, user_id, checks);
        let counted = counted.await?;
        Ok(Response::new(proto::RecordTemplateViewResponse {
            is_counted: counted,
        }))
    }

    async fn record_template_views(
        &self,
        request: Request<proto::RecordTemplateViewsRequest>,
    ) -> Result<Response<proto::RecordTemplateViewsResponse>, Status> {
        let principal = principal(&request)?;
        let caller = principal.caller();
        let views = request.into_inner();
        let user_id = principal.acts_for(views.user_id)?;
        let mut checks = Checks::default();
        let mut ids = each_once("ids", views.ids, MAX_IDS, &mut checks);
        checks.id("user_id", user_id);
        checks.finish(())?;
        if !caller.is_trusted() {
            let db = self.app.store.reader();
            let offered = store::template::find_all(db, ids.iter().copied(), false).await?;
            ids = offered.iter().map(|template| template.id).collect();
        }
        let counted = self.app.record_template_views(caller, &ids, user_id);
        Ok(Response::new(proto::RecordTemplateViewsResponse {
            counted_ids: counted.await?,
        }))
    }

    async fn reorder_templates(
        &self,
        request: Request<proto::ReorderTemplatesRequest>,
    ) -> Result<Response<proto::ReorderTemplatesResponse>, Status> {
        let principal = principal(&request)?;
        let caller = principal.caller();
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
            Flaw::Duplicate.says("must not name a template twice")
        });
        checks.finish(())?;
        let templates = self
            .app
            .acting(principal.actor())
            .reorder_templates(feature_id, &ids)
            .await?;
        let templates = templates.into_iter().map(|template| proto::Template {
            template_data: None,
            ..message(template, caller.view())
        });
        Ok(Response::new(proto::ReorderTemplatesResponse {
            templates: templates.collect(),
        }))
    }

    async fn update_template(
        &self,
        request: Request<proto::UpdateTemplateRequest>,
    ) -> Result<Response<proto::UpdateTemplateResponse>, Status> {
        let principal = principal(&request)?;
        let caller = principal.caller();
        let request = request.into_inner();
        let given = request.template.unwrap_or_default();
        let not_finite = json::not_finite("template.", open_ended(given.template_data.as_ref()));
        let (id, etag) = (given.id, given.etag.clone());
        let language = (given.language.clone(), given.original_language.clone());
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
        refuse_translated((&language.0, &language.1), &mask, &mut of_template);
        of_template.extend(checks.into_violations());
        of_template.extend(not_finite);
        let change = |draft: &mut _| mask.copy(draft, &given);
        let validate_only = request.validate_only;
        let acting = self.app.acting(principal.actor());
        let updated = acting.update_template(id, &etag, of_template, validate_only, change);
        let template = message(updated.await?, caller.view());
        Ok(Response::new(proto::UpdateTemplateResponse {
            template: with_preview(&self.app, template).await?,
        }))
    }

    async fn delete_template(
        &self,
        request: Request<proto::DeleteTemplateRequest>,
    ) -> Result<Response<proto::DeleteTemplateResponse>, Status> {
        let principal = principal(&request)?;
        let caller = principal.caller();
        let proto::DeleteTemplateRequest { id, etag } = request.into_inner();
        let mut checks = Checks::default();
        check_id("id", id, &mut checks);
        checks.etag("etag", &etag);
        checks.finish(())?;
        let template = self
            .app
            .acting(principal.actor())
            .delete_template(id, &etag)
            .await?;
        Ok(Response::new(proto::DeleteTemplateResponse {
            template: with_preview(&self.app, message(template, caller.view())).await?,
        }))
    }

    async fn undelete_template(
        &self,
        request: Request<proto::UndeleteTemplateRequest>,
    ) -> Result<Response<proto::UndeleteTemplateResponse>, Status> {
        let principal = principal(&request)?;
        let caller = principal.caller();
        let id = required_id(request.get_ref().id)?;
        let template = self
            .app
            .acting(principal.actor())
            .undelete_template(id)
            .await?;
        Ok(Response::new(proto::UndeleteTemplateResponse {
            template: with_preview(&self.app, message(template, caller.view())).await?,
        }))
    }

    async fn render_template(
        &self,
        request: Request<proto::RenderTemplateRequest>,
    ) -> Result<Response<proto::RenderTemplateResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let mut checks = Checks::default();
        let named = (request.id, request.template.as_str());
        let template_id = self.id_of(caller, named, &mut checks).await?;
        json::check_finite("variables", request.variables.values(), &mut checks);
        let view = view_from(request.view, caller, &mut checks);
        let trial = Trial {
            template_id,
            user_prompt: request.user_prompt,
            variables: json::from_map(request.variables),
        };
        let rendered = self.app.render_template(trial, checks).await?;
        let told = |text| view.prompt(text, rendered.is_hidden);
        let rendered = proto::RenderTemplateResponse {
            prompt: told(rendered.prompt),
            negative_prompt: told(rendered.negative_prompt),
            variables: json::to_struct(rendered.variables)
                .fields
                .into_iter()
                .collect(),
        };
        Ok(Response::new(rendered))
    }

    async fn preview_template(
        &self,
        request: Request<proto::PreviewTemplateRequest>,
    ) -> Result<Response<proto::PreviewTemplateResponse>, Status> {
        let principal = principal(&request)?;
        let request = request.into_inner();
        call::note(Resource::Feature, request.feature_id);
        call::note(Resource::Template, request.template_id());
        let made = preview::create(&self.app, &principal, request).await?;
        Ok(Response::new(made))
    }

    async fn list_template_versions(
        &self,
        request: Request<proto::ListTemplateVersionsRequest>,
    ) -> Result<Response<proto::ListTemplateVersionsResponse>, Status> {
        let caller = caller(&request)?;
        let page = version::list(&self.app, caller, request.into_inner()).await?;
        Ok(Response::new(page))
    }

    async fn restore_template_version(
        &self,
        request: Request<proto::RestoreTemplateVersionRequest>,
    ) -> Result<Response<proto::RestoreTemplateVersionResponse>, Status> {
        let principal = principal(&request)?;
        let caller = principal.caller();
        let proto::RestoreTemplateVersionRequest { id, version, etag } = request.into_inner();
        call::note_id(id);
        let template = self
            .app
            .acting(principal.actor())
            .restore_template(id, version, &etag)
            .await?;
        Ok(Response::new(proto::RestoreTemplateVersionResponse {
            template: with_preview(&self.app, message(template, caller.view())).await?,
        }))
    }
}

impl Templates {
    /// The id given, or that of the template which is named in its place, as far as the caller is shown it.
    async fn id_of(
        &self,
        caller: Caller,
        (id, named): (i64, &str),
        checks: &mut Checks,
    ) -> Result<i64, Error> {
        call::note_id(id);
        checks.require(id == 0 || named.is_empty(), "template", || {
            Flaw::Conflict.says("must be left out beside id")
        });
        if named.is_empty() && (caller.is_trusted() || id <= 0) || id != 0 && caller.is_trusted() {
            return Ok(id);
        }
        let (found, _) = shown::template(&self.app, caller, (id, named)).await?;
        call::note_id(found.id);
        Ok(found.id)
    }

    async fn page(
        &self,
        filter: &store::template::Filter,
        ranking: Ranking,
        (languages, view): (&Languages, View),
        page: PageRequest,
    ) -> Result<Page<proto::Template>, Error> {
        let db = self.app.store.reader();
        let with_data = view > View::Basic;
        let page = store::template::list(db, filter, ranking, &page, with_data).await?;
        let templates = page.items.into_iter();
        let templates = templates.map(|template| localized_message(template, languages, view));
        Ok(Page {
            items: with_previews(&self.app, templates.collect()).await?,
            next_page_token: page.next_page_token,
        })
    }
}
