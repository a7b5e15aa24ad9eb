use tonic::{Request, Response, Status};

use crate::{
    app::App,
    domain::{
        Checks, Error, Page, TemplateData, TemplateDraft, Variable, VariableType, check_tags, etag,
        stored,
    },
    entity::template,
    store::{self, PageRequest},
};

use super::{
    caller, json,
    page::{any_or, bounded_page, page_request},
    proto::{self, template_service_server::TemplateService},
    request::{input_from, input_message},
    required_id,
    time::timestamp,
};

pub(super) struct Templates {
    pub(super) app: App,
}

#[tonic::async_trait]
impl TemplateService for Templates {
    async fn create_template(
        &self,
        request: Request<proto::CreateTemplateRequest>,
    ) -> Result<Response<proto::CreateTemplateResponse>, Status> {
        let (draft, checks) = draft(request.into_inner());
        let template = self.app.create_template(draft, checks).await?;
        Ok(Response::new(proto::CreateTemplateResponse {
            template: Some(message(template)),
        }))
    }

    async fn get_template(
        &self,
        request: Request<proto::GetTemplateRequest>,
    ) -> Result<Response<proto::GetTemplateResponse>, Status> {
        let id = required_id(request.get_ref().id)?;
        let template = store::template::find(self.app.store.reader(), id).await?;
        Ok(Response::new(proto::GetTemplateResponse {
            template: Some(message(template)),
        }))
    }

    async fn list_templates(
        &self,
        request: Request<proto::ListTemplatesRequest>,
    ) -> Result<Response<proto::ListTemplatesResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let page = page_request(request.page_size, request.page_token, &mut checks);
        checks.optional_id("feature_id", request.feature_id);
        check_tags(&request.tags, &mut checks);
        let filter = store::template::Filter {
            feature_id: any_or(request.feature_id),
            tags: request.tags,
            is_active: request.is_active,
            show_deleted: request.show_deleted,
        };
        checks.finish(())?;
        let page = bounded_page(page, |page| self.page(&filter, page)).await?;
        Ok(Response::new(proto::ListTemplatesResponse {
            templates: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn record_template_view(
        &self,
        request: Request<proto::RecordTemplateViewRequest>,
    ) -> Result<Response<proto::RecordTemplateViewResponse>, Status> {
        let caller = caller(&request);
        let view = request.into_inner();
        let counted = self
            .app
            .record_template_view(caller, view.template_id, view.user_id)
            .await?;
        Ok(Response::new(proto::RecordTemplateViewResponse { counted }))
    }
}

impl Templates {
    async fn page(
        &self,
        filter: &store::template::Filter,
        page: PageRequest,
    ) -> Result<Page<proto::Template>, Error> {
        let page = store::template::list(self.app.store.reader(), filter, &page).await?;
        let templates = page.items.into_iter().map(message);
        Ok(Page {
            items: templates.collect(),
            next_page_token: page.next_page_token,
        })
    }
}

/// The template, and what is wrong with it already as a message.
fn draft(request: proto::CreateTemplateRequest) -> (TemplateDraft, Checks) {
    let mut checks = Checks::default();
    let data = request
        .template_data
        .map(|data| data_from(data, &mut checks));
    checks.require(data.is_some(), "template_data", || "is required".to_owned());
    let draft = TemplateDraft {
        feature_id: request.feature_id,
        name: request.name,
        description: request.description,
        data: data.unwrap_or_default(),
        preview_url: request.preview_url,
        tags: request.tags,
        is_active: request.is_active.unwrap_or(true),
        order_index: request.order_index,
    };
    (draft, checks)
}

fn data_from(data: proto::TemplateData, checks: &mut Checks) -> TemplateData {
    let variables = data
        .variables
        .into_iter()
        .enumerate()
        .filter_map(|(index, variable)| {
            let kind = variable_type_from(variable.r#type());
            checks.require(
                kind.is_some(),
                &format!("template_data.variables[{index}].type"),
                || "is required: string, integer, number, boolean or enum".to_owned(),
            );
            kind.map(|kind| variable_from(variable, kind))
        });
    TemplateData {
        prompt: data.prompt,
        negative_prompt: data.negative_prompt,
        variables: variables.collect(),
        defaults: data.defaults.map(input_from).unwrap_or_default(),
        style: data.style.map(json::from_struct).unwrap_or_default(),
        extra: data.extra.map(json::from_struct).unwrap_or_default(),
    }
}

fn variable_from(variable: proto::TemplateVariable, kind: VariableType) -> Variable {
    Variable {
        name: variable.name,
        kind,
        label: variable.label,
        default: variable.default_value.map(json::from_value),
        required: variable.required,
        max_length: variable.max_length,
        min: variable.min,
        max: variable.max,
        choices: variable.choices,
    }
}

fn variable_type_from(kind: proto::TemplateVariableType) -> Option<VariableType> {
    match kind {
        proto::TemplateVariableType::Unspecified => None,
        proto::TemplateVariableType::String => Some(VariableType::String),
        proto::TemplateVariableType::Integer => Some(VariableType::Integer),
        proto::TemplateVariableType::Number => Some(VariableType::Number),
        proto::TemplateVariableType::Boolean => Some(VariableType::Boolean),
        proto::TemplateVariableType::Enum => Some(VariableType::Enum),
    }
}

fn variable_type(kind: VariableType) -> proto::TemplateVariableType {
    match kind {
        VariableType::String => proto::TemplateVariableType::String,
        VariableType::Integer => proto::TemplateVariableType::Integer,
        VariableType::Number => proto::TemplateVariableType::Number,
        VariableType::Boolean => proto::TemplateVariableType::Boolean,
        VariableType::Enum => proto::TemplateVariableType::Enum,
    }
}

fn message(template: template::Model) -> proto::Template {
    let data = stored::show(Some(template.template_data), |extra| TemplateData {
        extra,
        ..TemplateData::default()
    });
    proto::Template {
        id: template.id,
        feature_id: template.feature_id,
        name: template.name,
        description: template.description.unwrap_or_default(),
        template_data: Some(data_message(data)),
        preview_url: template.preview_url.unwrap_or_default(),
        is_trending: template.is_trending,
        trend_score: template.trend_score,
        usage_count: template.usage_count,
        view_count: template.view_count,
        trend_start_time: template.trend_start_date.map(timestamp),
        trend_end_time: template.trend_end_date.map(timestamp),
        tags: template
            .tags
            .map(|tags| tags.items().to_vec())
            .unwrap_or_default(),
        is_active: template.is_active,
        order_index: template.order_index,
        create_time: Some(timestamp(template.created_at)),
        update_time: Some(timestamp(template.updated_at)),
        delete_time: template.deleted_at.map(timestamp),
        etag: etag(template.version),
    }
}

fn data_message(data: TemplateData) -> proto::TemplateData {
    proto::TemplateData {
        prompt: data.prompt,
        negative_prompt: data.negative_prompt,
        variables: data.variables.into_iter().map(variable_message).collect(),
        defaults: Some(input_message(data.defaults)),
        style: Some(json::to_struct(data.style)),
        extra: Some(json::to_struct(data.extra)),
    }
}

fn variable_message(variable: Variable) -> proto::TemplateVariable {
    proto::TemplateVariable {
        name: variable.name,
        r#type: variable_type(variable.kind).into(),
        label: variable.label,
        default_value: variable.default.map(json::to_value),
        required: variable.required,
        max_length: variable.max_length,
        min: variable.min,
        max: variable.max,
        choices: variable.choices,
    }
}
